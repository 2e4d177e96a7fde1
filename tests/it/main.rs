//! The rules of the house, as tests: who may depend on whom, how files look, what is registered
//! where, under which licences. One binary, one file a subject. What single crates do is tested
//! beside their code.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod catalogue;
mod documents;
mod layering;
mod licences;
mod tidy;
mod tree;
mod workspace;
