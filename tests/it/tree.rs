//! The declared supervision tree, as it is shown in `tests/golden/tree.txt`. That the live tree is
//! the declared one is tested in `node`.

use crate::workspace::root;

#[test]
fn the_declared_tree_is_the_golden_one() {
    let path = root().join("tests/golden/tree.txt");
    let now = node::assembly::declared(2, true).to_string();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    assert_eq!(now, std::fs::read_to_string(path).unwrap(), "UPDATE_GOLDEN=1 writes it anew");
}
