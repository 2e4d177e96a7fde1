//! Nothing: the rules of the house are tests, in `it/`.
