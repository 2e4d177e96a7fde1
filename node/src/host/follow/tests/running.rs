//! What happens to a log while it is followed.

use super::*;

#[test]
fn a_log_that_is_not_there_yet_then_grows() {
    let mut w = World::new();
    let mut f = w.follower();
    assert!(matches!(f.poll(&mut w.got).unwrap(), Step::Waiting(_)));
    for lines in [1, 3, 5_000, 1] {
        w.write(lines);
        w.drain(&mut f);
        w.check();
    }
    assert_eq!(f.segment().unwrap().number(), 0);
}

#[test]
fn half_a_line_comes_as_it_is_and_its_rest_later() {
    let mut w = World::new();
    let mut f = w.follower();
    fs::write(w.log(), "half a li").unwrap();
    w.drain(&mut f);
    assert_eq!(w.got, b"half a li");
    let mut f = w.restart(f);
    File::options().append(true).open(w.log()).unwrap().write_all(b"ne\n").unwrap();
    w.drain(&mut f);
    assert_eq!(w.got, b"half a line\n");
}

#[test]
fn renamed_while_running_and_written_to_for_a_while() {
    let mut w = World::new();
    let mut f = w.follower();
    w.write(10);
    w.drain(&mut f);
    w.rotate();
    // The writer has not been told yet.
    w.write_to("conn.log.1", 5);
    w.drain(&mut f);
    w.check();
    fs::write(w.log(), "").unwrap();
    assert_eq!(f.poll(&mut w.got).unwrap(), Step::Idle);
    w.write_to("conn.log.1", 2);
    w.drain(&mut f);
    w.write(7);
    w.drain(&mut f);
    w.check();
    assert_eq!(f.segment().unwrap().number(), 1);
}

#[test]
fn rotated_several_times_between_two_polls() {
    let mut w = World::new();
    let mut f = w.follower();
    w.write(10);
    w.drain(&mut f);
    for _ in 0..3 {
        w.write(4);
        w.rotate();
        w.write(6);
    }
    w.drain(&mut f);
    w.check();
    assert_eq!(f.segment().unwrap().number(), 3);
}

#[test]
fn copied_and_truncated_while_running() {
    let mut w = World::new();
    let mut f = w.follower();
    w.write(100);
    w.drain(&mut f);
    // Some lines that the follower has not seen when the file is truncated.
    w.write(20);
    w.copy_truncate();
    w.write(3);
    w.drain(&mut f);
    w.check();
    // And grown beyond the old position before the next poll.
    w.write(5);
    w.copy_truncate();
    w.write(500);
    w.drain(&mut f);
    w.check();
    assert_eq!(f.segment().unwrap().number(), 2);
}

#[test]
fn truncated_without_a_copy_is_a_gap_and_goes_on() {
    let mut w = World::new();
    let mut f = w.follower();
    w.write(100);
    w.drain(&mut f);
    w.check();
    File::create(w.log()).unwrap();
    w.write(3);
    w.drain(&mut f);
    assert_eq!(w.got, w.written);
    assert!(w.gaps.len() == 1 && w.gaps[0].contains("truncated"), "{:?}", w.gaps);
}

#[test]
fn deleted_and_made_again() {
    let mut w = World::new();
    let mut f = w.follower();
    w.write(10);
    w.drain(&mut f);
    w.write(2);
    fs::remove_file(w.log()).unwrap();
    w.drain(&mut f);
    w.write(8);
    w.drain(&mut f);
    w.check();
}

#[test]
fn following_may_begin_at_the_end() {
    let mut w = World::new();
    w.write(40);
    let mut f = Follower::new(&w.log(), Start::End);
    w.drain(&mut f);
    let from = w.written.len();
    w.write(3);
    w.drain(&mut f);
    f = w.restart(f);
    w.write(3);
    w.rotate();
    w.write(3);
    w.drain(&mut f);
    assert_eq!(w.got, &w.written[from..]);
    assert!(w.gaps.is_empty());
}
