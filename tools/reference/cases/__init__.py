"""Tables of cases, one module per family of operations. Each module has `CALLS`, op name -> function, and `cases()`."""
