//! Finds what can be changed in a source file, and writes the file with every change behind a switch.
//!
//! A *site* is a range of the text with one or more *mutants*, each another text for that range. Sites nest as expressions do:
//!
//! ```text
//! a * b + c     (if is(3) { (a * b) - (c) } else { (if is(4) { (a) / (b) } else { a * b }) + c })
//! ```
//!
//! An alternative is written of the plain text, so that a mutant is exactly one change. Comments mark the ranges in what is
//! written, by which errors of the compiler are traced to the mutant that does not compile.

use std::collections::HashMap;
use std::ops::Range;

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{BinOp, Block, Expr, Lit, ReturnType, Stmt, Token, UnOp};

/// One change of the sources.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// Where: file, function, and the number of equal changes before it in that function.
    pub file: String,
    pub function: String,
    pub ordinal: usize,
    pub line: usize,
    /// What stands there, and what this makes of it, in one line each.
    pub from: String,
    pub to: String,
}

impl Mutant {
    /// What names it as long as its function stays as it is.
    pub fn key(&self) -> String {
        format!("{} | {} | {} → {} | {}", self.file, self.function, self.from, self.to, self.ordinal)
    }
}

/// How an alternative takes the place of the text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Expression,
    /// Statements that are left out.
    Dropped,
    /// Text before what stands there: an early return.
    Before,
}

struct Site {
    range: Range<usize>,
    form: Form,
    mutant: usize,
    text: String,
}

/// A source file and what can be changed in it.
pub struct Source {
    pub text: String,
    pub mutants: Vec<Mutant>,
    sites: Vec<Site>,
}

impl Source {
    /// Parses `text`, the file `name`.
    pub fn parse(name: &str, text: String) -> syn::Result<Self> {
        let file = syn::parse_file(&text)?;
        let mut finder = Finder {
            name,
            text: &text,
            function: Vec::new(),
            seen: HashMap::new(),
            mutants: Vec::new(),
            sites: Vec::new(),
            in_rows: false,
        };
        finder.visit_file(&file);
        let Finder { mutants, mut sites, .. } = finder;
        // Outer sites before inner ones; what is put before a range comes first.
        sites.sort_by_key(|site| {
            (site.range.start, std::cmp::Reverse(site.range.end), site.form != Form::Dropped, site.mutant)
        });
        Ok(Self { text, mutants, sites })
    }

    /// The text with the mutants that `id` numbers behind switches.
    pub fn instrumented(&self, id: impl Fn(usize) -> Option<usize>) -> String {
        let chosen: Vec<_> = self.sites.iter().filter_map(|site| Some((site, id(site.mutant)?))).collect();
        let mut out = String::with_capacity(self.text.len() + 100 * chosen.len());
        self.write(&chosen, 0..self.text.len(), &mut out);
        out
    }

    /// Writes the text of `range`, whose sites are `sites`.
    fn write(&self, mut sites: &[(&Site, usize)], range: Range<usize>, out: &mut String) {
        let mut at = range.start;
        while let Some(&(site, id)) = sites.first() {
            out.push_str(&self.text[at..site.range.start]);
            let same =
                sites.iter().take_while(|(other, _)| other.range == site.range && other.form == site.form).count();
            let inside = sites
                .iter()
                .take_while(|(other, _)| {
                    other.range.start < site.range.end.max(site.range.start + 1) && other.range.end <= site.range.end
                })
                .count();
            let inner = &sites[same..inside.max(same)];
            match site.form {
                Form::Before => {
                    for (site, id) in &sites[..same] {
                        out.push_str(&format!(" /*<{id}*/ if crate::mutant::is({id}) {{ {} }} /*{id}>*/ ", site.text));
                    }
                    at = site.range.start;
                    sites = &sites[same..];
                    continue;
                }
                Form::Dropped => {
                    out.push_str(&format!("/*<{id}*/ if !crate::mutant::is({id}) /*{id}>*/ {{ "));
                    self.write(inner, site.range.clone(), out);
                    out.push_str(" }");
                }
                Form::Expression => {
                    out.push_str(&format!("(/*[{id}*/"));
                    for (site, id) in &sites[..same] {
                        out.push_str(&format!(
                            "if crate::mutant::is({id}) {{ /*<{id}*/ {} /*{id}>*/ }} else ",
                            site.text
                        ));
                    }
                    out.push_str("{ ");
                    self.write(inner, site.range.clone(), out);
                    out.push_str(&format!(" }}/*{id}]*/)"));
                }
            }
            at = site.range.end;
            sites = &sites[inside.max(same)..];
        }
        out.push_str(&self.text[at..range.end]);
    }
}

/// Macros whose arguments are text for people, checks of the engine's own, or definitions.
const LEFT_ALONE: &[&str] = &[
    "error",
    "format",
    "panic",
    "unreachable",
    "assert",
    "assert_eq",
    "assert_ne",
    "debug_assert",
    "debug_assert_eq",
    "debug_assert_ne",
    "write",
    "writeln",
    "println",
    "matches",
    "stringify",
    "concat",
    "cfg",
    "macro_rules",
];

/// Samples of calls, which tests run.
const SAMPLE: &str = "Case";

/// Calls whose arguments change speed alone.
const HINTS: &[&str] = &["with_capacity", "reserve", "from_capacity"];

/// Methods and their counterparts.
const COUNTERPARTS: &[(&str, &str)] = &[
    ("lt", "le"),
    ("le", "lt"),
    ("minimum", "maximum"),
    ("maximum", "minimum"),
    ("min", "max"),
    ("max", "min"),
    ("any", "all"),
    ("all", "any"),
    ("is_some", "is_none"),
    ("is_none", "is_some"),
];

struct Finder<'a> {
    name: &'a str,
    text: &'a str,
    function: Vec<String>,
    seen: HashMap<String, usize>,
    mutants: Vec<Mutant>,
    sites: Vec<Site>,
    /// In the table of elementwise operations, where expressions are of one type.
    in_rows: bool,
}

impl Finder<'_> {
    fn of<T: Spanned>(&self, node: &T) -> &str {
        &self.text[node.span().byte_range()]
    }

    fn add(&mut self, range: Range<usize>, form: Form, text: String, from: &str, to: &str) {
        let line = 1 + self.text[..range.start].matches('\n').count();
        let (from, to) = (one_line(from), one_line(to));
        let function = self.function.join("::");
        let seen = self.seen.entry(format!("{function}|{from}|{to}")).or_default();
        let mutant = Mutant { file: self.name.into(), function, ordinal: *seen, line, from, to };
        *seen += 1;
        self.sites.push(Site { range, form, mutant: self.mutants.len(), text });
        self.mutants.push(mutant);
    }

    /// Another text for an expression.
    fn replace<T: Spanned>(&mut self, node: &T, text: String) {
        let from = self.of(node).to_owned();
        self.add(node.span().byte_range(), Form::Expression, text.clone(), &from, &text);
    }

    fn binary(&mut self, node: &syn::ExprBinary) {
        let (left, right) = (self.of(&*node.left).to_owned(), self.of(&*node.right).to_owned());
        let others: &[&str] = match node.op {
            BinOp::Add(_) => &["-"],
            BinOp::Sub(_) => &["+"],
            BinOp::Mul(_) => &["/"],
            BinOp::Div(_) => &["*"],
            BinOp::Rem(_) => &["/"],
            BinOp::And(_) => &["||"],
            BinOp::Or(_) => &["&&"],
            BinOp::BitAnd(_) => &["|"],
            BinOp::BitOr(_) => &["&"],
            BinOp::BitXor(_) => &["|"],
            BinOp::Shl(_) => &[">>"],
            BinOp::Shr(_) => &["<<"],
            BinOp::Eq(_) => &["!="],
            BinOp::Ne(_) => &["=="],
            BinOp::Lt(_) => &["<=", ">="],
            BinOp::Le(_) => &["<", ">"],
            BinOp::Gt(_) => &[">=", "<="],
            BinOp::Ge(_) => &[">", "<"],
            BinOp::AddAssign(_) => &["-="],
            BinOp::SubAssign(_) => &["+="],
            BinOp::MulAssign(_) => &["/="],
            BinOp::DivAssign(_) => &["*="],
            BinOp::BitOrAssign(_) => &["&="],
            BinOp::BitAndAssign(_) => &["|="],
            _ => &[],
        };
        let assigns = self.text[node.op.span().byte_range()].ends_with('=')
            && others.iter().all(|op| op.len() == 2 && op.ends_with('=') && !["==", "!=", "<=", ">="].contains(op));
        for op in others {
            let text = if assigns { format!("{left} {op} {right}") } else { format!("({left}) {op} ({right})") };
            self.replace(node, text);
        }
        if self.in_rows && matches!(node.op, BinOp::Sub(_) | BinOp::Div(_)) {
            let op = self.of(&node.op).to_owned();
            self.replace(node, format!("({right}) {op} ({left})"));
        }
    }

    fn literal(&mut self, node: &syn::ExprLit) {
        let text = match &node.lit {
            Lit::Int(n) => match n.base10_digits() {
                "0" => format!("1{}", n.suffix()),
                "1" => format!("0{}", n.suffix()),
                digits => match digits.parse::<u128>() {
                    Ok(value) => format!("{}{}", value + 1, n.suffix()),
                    Err(_) => return,
                },
            },
            Lit::Float(x) => match x.base10_parse::<f64>() {
                Ok(0.0) => format!("1.0{}", x.suffix()),
                Ok(value) => format!("{:?}{}", value * 1.001, x.suffix()),
                Err(_) => return,
            },
            Lit::Bool(b) => (!b.value).to_string(),
            _ => return,
        };
        self.replace(node, text);
    }

    /// A condition that no operator makes.
    fn condition(&mut self, condition: &Expr) {
        if matches!(condition, Expr::MethodCall(_) | Expr::Path(_) | Expr::Field(_) | Expr::Call(_) | Expr::Macro(_)) {
            let text = format!("!({})", self.of(condition));
            self.replace(condition, text);
        }
    }

    /// What a rule of a structured operation adds to a gradient: dropped, of the other sign, scaled.
    fn gradient(&mut self, node: &syn::ExprMethodCall) {
        let method = node.method.to_string();
        if !["add", "add_other", "add_product"].contains(&method.as_str()) || self.of(&*node.receiver) != "cx" {
            return;
        }
        self.replace(node, "Ok(())".into());
        let Some(last) = node.args.last() else { return };
        let before = self.text[node.span().byte_range().start..last.span().byte_range().start].to_owned();
        for change in ["try_neg()?", "try_mul(1.001)?"] {
            let text = format!("{before}({}).{change})", self.of(last));
            self.replace(node, text);
        }
    }

    /// Two neighbouring arguments, swapped.
    fn swap(&mut self, node: &Expr, args: &Punctuated<Expr, Token![,]>) {
        let simple = |e: &Expr| {
            matches!(e, Expr::Path(_) | Expr::Field(_) | Expr::Reference(_) | Expr::Index(_)) || self.in_rows
        };
        let args: Vec<&Expr> = args.iter().collect();
        let pairs: Vec<_> = args
            .windows(2)
            .filter(|pair| simple(pair[0]) && simple(pair[1]))
            .map(|p| (p[0].span().byte_range(), p[1].span().byte_range()))
            .collect();
        let whole = node.span().byte_range();
        for (a, b) in pairs {
            let text = self.text;
            if text[a.clone()] != text[b.clone()] {
                let swapped = [
                    &text[whole.start..a.start],
                    &text[b.clone()],
                    &text[a.end..b.start],
                    &text[a],
                    &text[b.end..whole.end],
                ];
                self.replace(node, swapped.concat());
            }
        }
    }

    /// A function: its body emptied, its answer fixed, a tangent changed.
    fn body(&mut self, name: &str, output: &ReturnType, block: &Block) {
        let returns = match output {
            ReturnType::Default => String::new(),
            ReturnType::Type(_, ty) => self.of(&**ty).to_owned(),
        };
        let answers: &[&str] = match returns.as_str() {
            "" => &["return"],
            "Result<()>" => &["return Ok(())"],
            "bool" => &["return true", "return false"],
            "Result<bool>" => &["return Ok(true)", "return Ok(false)"],
            _ if returns.starts_with("Option<") => &["return None"],
            _ => &[],
        };
        let Some(first) = block.stmts.first() else { return };
        let start = first.span().byte_range().start;
        for answer in answers {
            self.add(start..start, Form::Before, format!("{answer};"), "whole body", answer);
        }
        let Some(Stmt::Expr(tail, None)) = block.stmts.last() else { return };
        for (method, what) in [("try_neg()", "negated"), ("try_mul(1.001)", "scaled by 1.001")] {
            let plain = self.of(tail);
            let text = match name {
                "tangent" => format!("({plain}).and_then(|t| t.{method})"),
                "tangent_many" => format!("({plain}).and_then(|t| t.map(|t| t.{method}).transpose())"),
                _ => return,
            };
            let from = plain.to_owned();
            self.add(tail.span().byte_range(), Form::Expression, text, &from, what);
        }
    }

    fn in_function(&mut self, name: String, inner: impl FnOnce(&mut Self)) {
        self.function.push(name);
        inner(self);
        self.function.pop();
    }

    /// The code inside of a macro's argument: groups in braces that parse as blocks.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut name = None;
        let mut after = String::new();
        let mut in_case = false;
        for token in tokens {
            match token {
                TokenTree::Group(_) if in_case => in_case = false,
                TokenTree::Group(group) => {
                    let inner = |this: &mut Self| match Block::parse_within.parse2(group.stream()) {
                        Ok(stmts) if group.delimiter() == Delimiter::Brace => {
                            stmts.iter().for_each(|stmt| this.visit_stmt(stmt));
                        }
                        _ => this.tokens(group.stream()),
                    };
                    match &name {
                        Some(name) if group.delimiter() == Delimiter::Brace => {
                            self.in_function(String::clone(name), inner)
                        }
                        _ => inner(self),
                    }
                    after.clear();
                }
                TokenTree::Ident(ident) => {
                    if after == "fn" || name.is_none() {
                        name = Some(ident.to_string());
                    }
                    after = ident.to_string();
                    in_case |= after == SAMPLE;
                }
                _ => after.clear(),
            }
        }
    }

    /// The table of elementwise operations: values after `=`, products after `da: (..)`.
    fn rows(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let is = |k: usize, c: char| matches!(tokens.get(k), Some(TokenTree::Punct(p)) if p.as_char() == c && p.spacing() == Spacing::Alone);
        let mut at = 0;
        let mut row = String::new();
        while at < tokens.len() {
            let arguments = matches!(&tokens[at], TokenTree::Group(g) if g.delimiter() == Delimiter::Parenthesis);
            let is_value = arguments && is(at + 1, '=');
            let is_product = arguments && at >= 2 && is(at - 1, ':');
            if !is_value && !is_product {
                at += 1;
                continue;
            }
            let start = if is_value { at + 2 } else { at + 1 };
            let end = (start..tokens.len()).find(|&k| is(k, ';')).unwrap_or(tokens.len());
            if is_value {
                row = tokens[at - 1].to_string();
            }
            let name = if is_value { format!("{row}.value") } else { format!("{row}.{}", tokens[at - 2]) };
            if let Ok(expr) = syn::parse2::<Expr>(tokens[start..end].iter().cloned().collect()) {
                self.in_function(name, |this| {
                    let plain = this.of(&expr).to_owned();
                    // A derivative that is 0 everywhere has no sign and no scale.
                    if plain != "g * R::of(0.0)" {
                        this.replace(&expr, format!("-({plain})"));
                        this.replace(&expr, format!("({plain}) * R::of(1.001)"));
                    }
                    this.visit_expr(&expr);
                });
            }
            at = end + 1;
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_test(attrs: &[syn::Attribute]) -> bool {
    attrs.iter().any(|attr| {
        attr.path().is_ident("test")
            || attr.path().is_ident("cfg")
                && attr.parse_args::<TokenStream>().is_ok_and(|arg| arg.to_string() == "test")
    })
}

/// Whether `&&` joins a `let`, so that parentheses around it do not compile.
fn has_let(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(b) => matches!(b.op, BinOp::And(_)) && (has_let(&b.left) || has_let(&b.right)),
        _ => false,
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_mod(&mut self, node: &'ast syn::ItemMod) {
        if !is_test(&node.attrs) {
            visit::visit_item_mod(self, node);
        }
    }

    // Constants are not computed at run time, types and patterns hold no switch.
    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}
    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}
    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}
    fn visit_trait_item_const(&mut self, _: &'ast syn::TraitItemConst) {}
    fn visit_item_enum(&mut self, _: &'ast syn::ItemEnum) {}
    fn visit_expr_const(&mut self, _: &'ast syn::ExprConst) {}
    fn visit_type(&mut self, _: &'ast syn::Type) {}
    fn visit_pat(&mut self, _: &'ast syn::Pat) {}
    fn visit_generic_argument(&mut self, _: &'ast syn::GenericArgument) {}
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_item_impl(&mut self, node: &'ast syn::ItemImpl) {
        if is_test(&node.attrs) {
            return;
        }
        let name = self.of(&*node.self_ty).split('<').next().unwrap_or_default().to_owned();
        self.in_function(name, |this| visit::visit_item_impl(this, node));
    }

    fn visit_item_fn(&mut self, node: &'ast syn::ItemFn) {
        if is_test(&node.attrs) || node.sig.constness.is_some() {
            return;
        }
        let name = node.sig.ident.to_string();
        self.in_function(name.clone(), |this| {
            this.body(&name, &node.sig.output, &node.block);
            visit::visit_block(this, &node.block);
        });
    }

    fn visit_impl_item_fn(&mut self, node: &'ast syn::ImplItemFn) {
        let name = node.sig.ident.to_string();
        // `cases` are the samples that tests call.
        if is_test(&node.attrs) || node.sig.constness.is_some() || name == "cases" {
            return;
        }
        self.in_function(name.clone(), |this| {
            this.body(&name, &node.sig.output, &node.block);
            visit::visit_block(this, &node.block);
        });
    }

    fn visit_stmt(&mut self, node: &'ast Stmt) {
        let droppable = |expr: &Expr| {
            let expr = if let Expr::Try(inner) = expr { &inner.expr } else { expr };
            matches!(expr, Expr::MethodCall(_) | Expr::Call(_) | Expr::Assign(_))
        };
        if let Stmt::Expr(expr, Some(_)) = node
            && droppable(expr)
        {
            let from = self.of(node).to_owned();
            self.add(node.span().byte_range(), Form::Dropped, String::new(), &from, "nothing");
        }
        visit::visit_stmt(self, node);
    }

    fn visit_expr(&mut self, node: &'ast Expr) {
        match node {
            Expr::Binary(binary) if !has_let(node) => self.binary(binary),
            Expr::Unary(unary) if !matches!(unary.op, UnOp::Deref(_)) => {
                let text = self.of(&*unary.expr).to_owned();
                self.replace(node, format!("({text})"));
            }
            Expr::Lit(literal) => self.literal(literal),
            Expr::If(branch) => self.condition(&branch.cond),
            Expr::MethodCall(call) => {
                self.gradient(call);
                if let Some((_, other)) = COUNTERPARTS.iter().find(|(name, _)| call.method == name) {
                    let (whole, name) = (node.span().byte_range(), call.method.span().byte_range());
                    let text = [&self.text[whole.start..name.start], other, &self.text[name.end..whole.end]].concat();
                    self.replace(node, text);
                }
                self.swap(node, &call.args);
            }
            Expr::Call(call) => self.swap(node, &call.args),
            Expr::Repeat(repeat) => return self.visit_expr(&repeat.expr),
            _ => {}
        }
        visit::visit_expr(self, node);
    }

    fn visit_arm(&mut self, node: &'ast syn::Arm) {
        if let Some((_, guard)) = &node.guard {
            self.condition(guard);
        }
        visit::visit_arm(self, node);
    }

    fn visit_expr_call(&mut self, node: &'ast syn::ExprCall) {
        let called = self.of(&*node.func).to_owned();
        let last = called.rsplit("::").next().unwrap_or_default();
        if called == "Err" || called.contains("Error") || called.starts_with(SAMPLE) || HINTS.contains(&last) {
            return;
        }
        visit::visit_expr_call(self, node);
    }

    fn visit_expr_method_call(&mut self, node: &'ast syn::ExprMethodCall) {
        let name = node.method.to_string();
        self.visit_expr(&node.receiver);
        if !HINTS.contains(&name.as_str()) && !["map_err", "ok_or_else", "expect"].contains(&name.as_str()) {
            node.args.iter().for_each(|arg| self.visit_expr(arg));
        }
    }

    fn visit_macro(&mut self, node: &'ast syn::Macro) {
        let Some(name) = node.path.segments.last().map(|segment| segment.ident.to_string()) else { return };
        if LEFT_ALONE.contains(&name.as_str()) {
            return;
        }
        if name == "rows" {
            self.in_rows = true;
            self.rows(node.tokens.clone());
            self.in_rows = false;
            return;
        }
        match Punctuated::<Expr, Token![,]>::parse_terminated.parse2(node.tokens.clone()) {
            Ok(args) if name.ends_with("vec") => args.iter().for_each(|arg| self.visit_expr(arg)),
            _ => self.tokens(node.tokens.clone()),
        }
    }
}
