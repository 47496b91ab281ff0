//! What is found in a source, and what is left alone.

use crate::mutate::Source;

/// The changes in `text`, as `function: from → to`.
fn changes(text: &str) -> Vec<String> {
    let source = Source::parse("x.rs", text.into()).expect("it parses");
    source.mutants.iter().map(|m| format!("{}: {} → {}", m.function, m.from, m.to)).collect()
}

#[test]
fn code_is_changed_and_the_rest_is_not() {
    let cases: &[(&str, &[&str])] = &[
        ("fn f(a: u8, b: u8) -> u8 { a + b }", &["f: a + b → (a) - (b)"]),
        ("fn f(a: bool) -> u8 { if a { x } else { y } }", &["f: a → !(a)"]),
        ("fn f() { g(); }", &["f: whole body → return", "f: g(); → nothing"]),
        (
            "impl A { fn f() -> bool { -a < 0 } }",
            &[
                "A::f: whole body → return true",
                "A::f: whole body → return false",
                "A::f: -a < 0 → (-a) <= (0)",
                "A::f: -a < 0 → (-a) >= (0)",
                "A::f: -a → (a)",
                "A::f: 0 → 1",
            ],
        ),
        ("fn f() -> R { if let Some(x) = y && z { x } else { g(a, b) } }", &["f: g(a, b) → g(b, a)"]),
        ("twins! { impl[E] T { pub fn f | try_f(self) -> R { a * b } } }", &["impl::f: a * b → (a) / (b)"]),
        (
            "rows! { Sub \"S\" sub(a, b) = a - b; db: (g) -g; [0..1]; }",
            &[
                "sub.value: a - b → -(a - b)",
                "sub.value: a - b → (a - b) * R::of(1.001)",
                "sub.value: a - b → (a) + (b)",
                "sub.value: a - b → (b) - (a)",
                "sub.db: -g → -(-g)",
                "sub.db: -g → (-g) * R::of(1.001)",
                "sub.db: -g → (g)",
            ],
        ),
        (
            "fn backward() -> R { cx.add(k, g) }",
            &[
                "backward: cx.add(k, g) → Ok(())",
                "backward: cx.add(k, g) → cx.add(k, (g).try_neg()?)",
                "backward: cx.add(k, g) → cx.add(k, (g).try_mul(1.001)?)",
                "backward: cx.add(k, g) → cx.add(g, k)",
            ],
        ),
        ("const A: u8 = 1 + 1; const fn f() -> u8 { 1 + 1 } #[cfg(test)] mod t { fn f() -> u8 { 1 + 1 } }", &[]),
        ("fn f(x: [u8; 2]) -> R { assert!(a < b); match x { 1 => Err(error!(Shape, \"{}\", a + b)), _ => z } }", &[]),
        ("losses! { A { 1 }, vec![Case::new(\"b\", |x| x + 1)]; }", &["A: 1 → 0"]),
        ("impl A { fn cases() -> u8 { 1 + 1 } }", &[]),
    ];
    for (text, expected) in cases {
        assert_eq!(changes(text), *expected, "{text}");
    }
}

/// The text with all mutants parses, and that with none is the text itself.
#[test]
fn switches_are_code() {
    let text =
        "fn f(mut a: i32) -> Result<()> { a += -a * (2 + a); g(a, b)?; if h(a - 1) && a < 2 { k(1) } else { Ok(()) } }";
    let source = Source::parse("x.rs", text.into()).expect("it parses");
    assert_eq!(source.instrumented(|_| None), text);
    let all = source.instrumented(|k| Some(k + 1));
    syn::parse_file(&all).expect(&all);
    for id in 1..=source.mutants.len() {
        assert_eq!(all.matches(&format!("is({id})")).count(), 1, "mutant {id} in {all}");
    }
}
