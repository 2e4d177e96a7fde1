//! What happened to a log while nobody followed it.

use super::*;

#[test]
fn resumed_where_it_was() {
    let mut w = World::new();
    let mut f = w.follower();
    w.write(3);
    for _ in 0..4 {
        w.drain(&mut f);
        f = w.restart(f);
        w.write(200);
    }
    w.drain(&mut f);
    w.check();
    assert_eq!(f.segment().unwrap().name(), format!("{}@0", w.log().display()));
}

#[test]
fn rotated_once_or_often_while_down() {
    for rotations in [1, 2, 5] {
        let mut w = World::new();
        let mut f = w.follower();
        w.write(50);
        w.drain(&mut f);
        for _ in 0..rotations {
            w.write(20);
            w.rotate();
            w.write(30);
        }
        f = w.restart(f);
        w.drain(&mut f);
        w.check();
        assert_eq!(f.segment().unwrap().number(), rotations);
        // And again, from the new place.
        f = w.restart(f);
        w.write(5);
        w.drain(&mut f);
        w.check();
    }
}

#[test]
fn rotated_and_packed_while_down() {
    let mut w = World::new();
    let mut f = w.follower();
    w.write(50);
    w.drain(&mut f);
    for _ in 0..3 {
        w.write(300);
        w.rotate();
        w.pack("conn.log.1");
    }
    w.write(7);
    f = w.restart(f);
    w.drain(&mut f);
    w.check();
    assert_eq!(f.segment().unwrap().number(), 3);
}

#[test]
fn resumed_in_the_middle_of_a_packed_file() {
    let mut w = World::new();
    w.write(2_000);
    let mut f = w.follower();
    let mut first = Vec::new();
    f.poll(&mut first).unwrap();
    let segment = f.segment().unwrap();
    w.rotate();
    w.write(5);
    // Half of it was done, then the file was packed, then packed files were renamed.
    let half = segment.checkpoint(20_000).to_bytes().unwrap();
    w.pack("conn.log.1");
    w.got = first[..20_000].to_vec();
    let mut f = w.resume(&half);
    w.got.truncate(20_000);
    let mut part = Vec::new();
    f.poll(&mut part).unwrap();
    w.got.extend(&part);
    let mut f = w.restart(f);
    w.drain(&mut f);
    w.check();
}

#[test]
fn copied_and_truncated_while_down() {
    let mut w = World::new();
    let mut f = w.follower();
    w.write(60);
    w.drain(&mut f);
    let at = f.segment().unwrap().checkpoint(f.offset()).to_bytes().unwrap();
    drop(f);
    w.write(10);
    w.copy_truncate();
    w.write(90);
    w.copy_truncate();
    w.write(2);
    let mut f = w.resume(&at);
    w.drain(&mut f);
    w.check();
}

#[test]
fn files_with_the_same_long_header_are_told_apart() {
    for down in [true, false] {
        let mut w = World::new();
        let header = "# fields that every file of this log begins with\n".repeat(40);
        let begin = |w: &mut World| {
            File::options()
                .append(true)
                .create(true)
                .open(w.log())
                .unwrap()
                .write_all(header.as_bytes())
                .unwrap();
            w.written.extend(header.bytes());
        };
        begin(&mut w);
        w.write(10);
        let mut f = w.follower();
        w.drain(&mut f);
        let at = f.segment().unwrap().checkpoint(f.offset()).to_bytes().unwrap();
        w.write(5);
        w.copy_truncate();
        begin(&mut w);
        w.write(200);
        if down {
            f = w.resume(&at);
        }
        w.drain(&mut f);
        w.check();
    }
}

#[test]
fn a_position_in_an_earlier_segment_is_found_again() {
    let mut w = World::new();
    let mut f = w.follower();
    w.write(50);
    w.drain(&mut f);
    let first = f.segment().unwrap();
    w.rotate();
    w.write(50);
    w.drain(&mut f);
    w.rotate();
    w.write(50);
    w.drain(&mut f);
    w.check();
    // The batches after byte 300 of the first segment were never acknowledged.
    let at = first.checkpoint(300).to_bytes().unwrap();
    w.got.truncate(300);
    let mut f = w.resume(&at);
    w.drain(&mut f);
    w.check();
}

#[test]
fn gone_while_down_is_a_gap_and_older_files_are_not_read_again() {
    let mut w = World::new();
    w.write(40);
    w.rotate();
    let old = w.written.len();
    std::thread::sleep(Duration::from_millis(20));
    w.write(10);
    let mut f = w.follower();
    w.drain(&mut f);
    assert_eq!(w.got, &w.written[old..]);
    let at = f.segment().unwrap().checkpoint(f.offset()).to_bytes().unwrap();
    drop(f);
    fs::remove_file(w.log()).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    w.write(5);
    let mut f = w.resume(&at);
    w.drain(&mut f);
    assert_eq!(w.got, &w.written[old..]);
    assert!(w.gaps.len() == 1 && w.gaps[0].contains("gone"), "{:?}", w.gaps);
}

#[test]
fn another_file_with_the_same_inode_is_not_taken_for_it() {
    let mut w = World::new();
    let mut f = w.follower();
    w.write(40);
    w.drain(&mut f);
    let mut at = f.segment().unwrap().checkpoint(f.offset());
    drop(f);
    w.rotate();
    fs::write(w.log(), "x".repeat(5_000)).unwrap();
    let id = Sibling::at(&w.log()).unwrap().unwrap().id;
    (at.dev, at.inode) = id;
    let mut f = w.resume(&at.to_bytes().unwrap());
    w.drain(&mut f);
    w.written.extend("x".repeat(5_000).bytes());
    w.check();
}

#[test]
fn a_damaged_packed_file_is_told_of_and_passed_over() {
    let mut w = World::new();
    let mut f = w.follower();
    w.write(50);
    w.drain(&mut f);
    w.rotate();
    let expected = w.written.len();
    w.write(400);
    w.rotate();
    w.pack("conn.log.1");
    let bytes = fs::read(w.path("conn.log.1.gz")).unwrap();
    fs::write(w.path("conn.log.1.gz"), &bytes[..bytes.len() - 12]).unwrap();
    let lost = w.written.len();
    w.write(6);
    f = w.restart(f);
    w.drain(&mut f);
    let good = w.got.len() - (w.written.len() - lost);
    assert!(good > expected && w.written.starts_with(&w.got[..good]));
    assert_eq!(w.got[good..], w.written[lost..]);
    assert!(w.gaps.len() == 1 && w.gaps[0].contains("cut off"), "{:?}", w.gaps);
}

#[test]
fn any_order_of_what_can_happen_gives_each_byte_once() {
    use threat::entropy::Rng;
    for seed in 0..150 {
        let mut rng = Rng::new(seed);
        let mut w = World::new();
        // A log lives with one way of being rotated.
        let copying = rng.chance(0.5);
        w.write(1 + rng.below(80) as u64);
        let mut f = w.follower();
        w.drain(&mut f);
        for _ in 0..12 {
            match rng.below(6) {
                0 | 1 => w.write(rng.below(40) as u64),
                2 if w.log().exists() && fs::metadata(w.log()).unwrap().len() > 0 => {
                    if copying && !w.path("conn.log.2").exists() {
                        w.copy_truncate();
                    } else if !copying && !w.path("conn.log.8").exists() {
                        w.rotate();
                        w.write(1);
                    }
                    if copying {
                        // Each file begins with bytes of its own, as logs with times do.
                        w.write(1);
                    }
                }
                3 => f = w.restart(f),
                4 => {
                    f.poll(&mut w.got).unwrap();
                }
                _ => w.drain(&mut f),
            }
        }
        w.drain(&mut f);
        assert_eq!(
            String::from_utf8_lossy(&w.got),
            String::from_utf8_lossy(&w.written),
            "seed {seed}, copying {copying}, gaps {:?}",
            w.gaps
        );
    }
}
