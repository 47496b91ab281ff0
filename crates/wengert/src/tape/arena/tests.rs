//! The arena by itself, where the tape's own care can't hide a mistake.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

fn panics(f: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(f)).is_err()
}

/// A tape with one block of the elements 0, 1, ...
fn tape_with_block(len: usize) -> (Tape, Storage) {
    let tape = Tape::new();
    let mut fresh = tape.arena.alloc::<f32>(len, 0).expect("a small block");
    fresh.slice().iter_mut().enumerate().for_each(|(i, x)| *x = i as f32);
    let storage = fresh.publish();
    (tape, storage)
}

#[test]
fn blocks_are_aligned_and_disjoint_for_every_size_and_type() {
    let arena = Arena::new();
    let mut taken: Vec<(usize, usize)> = Vec::new();
    let mut note = |start: usize, bytes: usize| {
        assert_eq!(start % if bytes >= 256 { 64 } else { 16 }, 0, "{bytes} bytes at {start:#x}");
        assert!(
            taken.iter().all(|&(from, to)| start >= to || start + bytes <= from),
            "{bytes} bytes at {start:#x} overlap"
        );
        taken.push((start, start + bytes));
    };
    for len in (0..40).chain([63, 64, 65, 1000, 5000, 70_000]) {
        let mut single = arena.alloc::<f32>(len, 0).expect("memory");
        let mut double = arena.alloc::<f64>(len, 0).expect("memory");
        let mut mask = arena.alloc::<bool>(len, 0).expect("memory");
        // All three are held at once, and written to the end.
        single.slice().fill(1.0);
        double.slice().fill(2.0);
        assert!(mask.slice().iter().all(|&holds| !holds), "a fresh mask is cleared");
        mask.slice().fill(true);
        note(single.slice().as_ptr().addr(), 4 * len);
        note(double.slice().as_ptr().addr(), 8 * len);
        note(mask.slice().as_ptr().addr(), len);
        let (single, double, mask) = (single.publish(), double.publish(), mask.publish());
        assert!(arena.read::<f32>(single).iter().all(|&x| x == 1.0) && arena.read::<f32>(single).len() == len);
        assert!(arena.read::<f64>(double).iter().all(|&x| x == 2.0) && arena.read::<f64>(double).len() == len);
        assert!(arena.read::<bool>(mask).iter().all(|&x| x) && arena.read::<bool>(mask).len() == len);
    }
}

#[test]
fn values_of_no_size_and_of_large_alignment_fit_into_an_empty_arena() {
    #[derive(Clone, Copy, PartialEq, Debug)]
    #[repr(align(64))]
    struct Wide(u8);
    #[derive(Clone, Copy, PartialEq, Debug)]
    #[repr(align(64))]
    struct Nothing;
    let arena = Arena::new();
    let nothing = arena.put_erased(()).expect("no memory is needed");
    let (list, aligned) = (arena.put_list::<u64>(&[]).expect("none"), arena.put(Nothing).expect("some"));
    let wide = arena.put(Wide(7)).expect("memory");
    assert_eq!(arena.get_erased::<()>(nothing), &());
    assert_eq!(arena.get_list(list), &[]);
    assert_eq!((arena.get(aligned), arena.get(wide)), (&Nothing, &Wide(7)));
    assert!(std::ptr::from_ref(arena.get(wide)).addr().is_multiple_of(64));
    assert!(panics(|| _ = arena.get_erased::<u8>(nothing)), "attributes of another type");
}

#[test]
fn sizes_beyond_memory_are_refused() {
    let arena = Arena::new();
    for len in [usize::MAX, usize::MAX / 8, 1 << 60, 1 << 56, 1 << 53] {
        assert_eq!(arena.alloc::<f64>(len, 0).err().expect("refused").kind(), crate::ErrorKind::Memory, "{len}");
    }
    for bytes in [usize::MAX, usize::MAX - 64, isize::MAX as usize] {
        assert!(arena.levels[0].blocks.grow(bytes, usize::MAX).is_err(), "{bytes}");
    }
    assert_eq!(arena.used(), 0);
    arena.alloc::<f64>(1, 0).expect("usable after it");
}

#[test]
fn the_budget_holds_to_the_byte() {
    let mut arena = Arena::new();
    arena.budget = 20_000;
    let mut blocks = 0;
    while let Ok(block) = arena.alloc::<f32>(250, 0) {
        block.publish();
        blocks += 1;
        assert!(arena.reserved() <= arena.budget, "slabs double only as far as the budget goes");
    }
    assert!(blocks * 1000 > 15_000, "{blocks} blocks were given out");
    arena.budget = usize::MAX;
    arena.alloc::<f32>(250, 0).expect("the limit was lifted");
}

#[test]
fn a_block_is_used_as_its_type_only() {
    let (mut tape, storage) = tape_with_block(4);
    assert!(panics(|| _ = tape.arena.read::<bool>(storage)));
    assert!(panics(|| _ = tape.arena.read::<f64>(storage)));
    assert!(panics(|| lend(&mut tape, storage, |_: &mut [bool], _| ())));
    assert_eq!(tape.arena.read::<f32>(storage), [0.0, 1.0, 2.0, 3.0]);
}

#[test]
fn a_lent_block_is_exclusive_until_it_is_back_also_after_a_panic() {
    let (mut tape, storage) = tape_with_block(2);
    lend(&mut tape, storage, |out: &mut [f32], tape| {
        out[0] = 5.0;
        assert!(panics(|| _ = tape.arena.read::<f32>(storage)), "it is lent");
        // Other blocks can be made and read meanwhile.
        let other = tape.arena.alloc::<f32>(2, 0).expect("memory").publish();
        assert_eq!(tape.arena.read::<f32>(other).len(), 2);
        out[1] = 6.0;
    });
    assert_eq!(tape.arena.read::<f32>(storage), [5.0, 6.0]);
    assert!(panics(|| lend(&mut tape, storage, |_: &mut [f32], _| panic!("of the user"))));
    assert_eq!(tape.arena.read::<f32>(storage), [5.0, 6.0]);
}

#[test]
fn several_blocks_are_lent_at_a_time_but_none_twice() {
    let (mut tape, storage) = tape_with_block(2);
    let other = tape.arena.alloc::<f32>(2, 0).expect("memory").publish();
    lend_many(&mut tape, &[storage, other], |mut blocks: SmallVec<[&mut [f32]; 4]>, tape| {
        assert!(panics(|| _ = tape.arena.read::<f32>(other)), "it is lent");
        blocks[0].fill(1.0);
        blocks[1].fill(2.0);
        Ok(())
    })
    .expect("memory");
    let twice = [other, storage, other];
    assert!(panics(|| _ = lend_many(&mut tape, &twice, |_: SmallVec<[&mut [f32]; 4]>, _| Ok(()))));
    assert_eq!((tape.arena.read(storage), tape.arena.read(other)), (&[1.0f32; 2][..], &[2.0f32; 2][..]));
}

#[test]
fn scratch_is_taken_back_and_nothing_can_be_taken_behind_it() {
    let arena = Arena::new();
    arena.alloc::<f32>(1, 0).expect("a slab").publish();
    let used = arena.used();
    let place = |_: ()| {
        arena.scratch(8, |outer: &mut [f32]| {
            outer.fill(1.0);
            let inner = arena.scratch(8, |inner: &mut [f32]| inner.as_ptr().addr()).expect("memory");
            assert!(outer.iter().all(|&x| x == 1.0) && inner != outer.as_ptr().addr());
            outer.as_ptr().addr()
        })
    };
    assert_eq!(place(()).expect("memory"), place(()).expect("memory"), "the same bytes again");
    assert_eq!(arena.used(), used);
    assert!(panics(|| _ = arena.scratch(8, |_: &mut [f32]| arena.alloc::<f32>(1, 0).map(Fresh::publish))));
    // What needs a new slab leaves the old one as it is.
    arena.scratch(100_000, |large: &mut [f32]| large.fill(0.0)).expect("memory");
    arena.alloc::<f32>(1, 0).expect("memory").publish();
}

#[test]
fn slabs_are_written_as_far_as_they_are_used() {
    let mut arena = Arena::new();
    arena.enter().expect("memory");
    arena.alloc::<f64>(1 << 20, 0).expect("memory").publish();
    for round in 0..2 {
        let blocks = &arena.levels[1].blocks;
        let written = blocks.written.get().addr().get() - blocks.slabs.borrow()[0].0.addr().get();
        let used = (8 << 20) + 2 * ALIGN;
        assert!(round > 0 || written <= used + AHEAD, "{written} bytes");
        arena.leave();
        arena.enter().expect("memory");
        for len in [1, 1000, 3, 700_000] {
            let mut fresh = arena.alloc::<f64>(len, 0).expect("memory");
            assert!(fresh.slice().iter().all(|x| *x == 0.0 || round > 0), "a first block is clear");
            fresh.slice().fill(1.0);
            fresh.publish();
        }
    }
    arena.leave();
}

#[test]
fn slabs_become_one_at_the_end_of_a_level() {
    let mut arena = Arena::new();
    arena.enter().expect("memory");
    for _ in 0..100 {
        arena.alloc::<f64>(1000, 0).expect("memory").publish();
    }
    let reserved = arena.reserved();
    assert!(arena.levels[1].blocks.slabs.borrow().len() > 1);
    for round in 0..3 {
        arena.leave();
        arena.enter().expect("memory");
        for _ in 0..100 {
            arena.alloc::<f64>(1000, 0).expect("memory").publish();
        }
        assert_eq!(arena.levels[1].blocks.slabs.borrow().len(), 1, "round {round}");
        assert_eq!(arena.reserved(), reserved);
    }
    arena.leave();
    arena.trim();
    assert!(arena.reserved() < reserved);
}

#[test]
#[cfg(debug_assertions)]
fn debug_builds_notice_what_outlived_its_level() {
    let mut arena = Arena::new();
    arena.enter().expect("memory");
    let (block, value) = (arena.alloc::<f32>(1, 0).expect("memory").publish(), arena.put(7u32).expect("memory"));
    assert_eq!((arena.read::<f32>(block).len(), arena.get(value)), (1, &7));
    arena.leave();
    assert!(panics(|| _ = arena.read::<f32>(block)));
    assert!(panics(|| _ = arena.get(value)));
}

#[test]
fn an_adopted_level_lives_as_long_as_its_new_owner() {
    let mut arena = Arena::new();
    arena.enter().expect("memory");
    let round = |arena: &mut Arena| {
        arena.enter().expect("memory");
        let mut blocks = Vec::new();
        for k in 0..20u8 {
            // Levels of levels, with one slab and several.
            arena.enter().expect("memory");
            arena.enter().expect("memory");
            let mut fresh = arena.alloc::<f32>(100 << (k % 6), 0).expect("memory");
            fresh.slice().fill(f32::from(k));
            let block = fresh.publish();
            arena.join().expect("memory");
            let list = arena.put_list(&[k; 300]).expect("memory");
            arena.join().expect("memory");
            blocks.push((f32::from(k), block, list));
        }
        for &(k, block, list) in &blocks {
            assert!(arena.read::<f32>(block).iter().all(|&x| x == k), "no later level wrote there");
            assert!(arena.get_list(list).iter().all(|&x| f32::from(x) == k));
        }
        let used = arena.used();
        arena.leave();
        assert!(used > 80_000 && arena.used() == 0, "the owner takes them with it");
        (arena.reserved(), blocks[0].1)
    };
    let outlived = round(&mut arena).1;
    let reserved = (0..60).map(|_| round(&mut arena).0).fold(0, |_, reserved| reserved);
    assert_eq!(round(&mut arena).0, reserved, "levels are used again");
    arena.leave();
    arena.trim();
    assert!(arena.reserved() < reserved / 2, "levels that are not in use are given back");
    if cfg!(debug_assertions) {
        assert!(panics(|| _ = arena.read::<f32>(outlived)), "debug builds notice what outlived its owner");
    }
}

#[test]
fn a_suspended_level_keeps_its_blocks() {
    let filled = |arena: &Arena, value: f32| {
        let mut fresh = arena.alloc::<f32>(5000, 0).expect("memory");
        fresh.slice().fill(value);
        fresh.publish()
    };
    let is = |arena: &Arena, block, value: f32| arena.read::<f32>(block).iter().all(|&x| x == value);
    let mut arena = Arena::new();
    let round = |arena: &mut Arena| {
        // A sweep of two levels, a hook with two of its own, in which a sweep has a hook in turn.
        arena.enter().expect("memory");
        arena.enter().expect("memory");
        let outer = filled(arena, 1.0);
        arena.suspend(2);
        assert!(!cfg!(debug_assertions) || panics(|| _ = arena.read::<f32>(outer)), "out of reach");
        let kept = filled(arena, 2.0);
        arena.enter().expect("memory");
        arena.enter().expect("memory");
        let inner = filled(arena, 3.0);
        arena.suspend(1);
        arena.trim();
        arena.enter().expect("memory");
        filled(arena, 4.0);
        arena.leave();
        arena.resume(1);
        assert!(is(arena, inner, 3.0) && is(arena, kept, 2.0));
        arena.suspend(1);
        arena.abandon(1);
        arena.leave();
        arena.resume(2);
        assert!(is(arena, outer, 1.0) && is(arena, kept, 2.0));
        arena.leave();
        arena.leave();
        arena.clear();
        (arena.depth(), arena.used(), arena.levels.len())
    };
    let first = round(&mut arena);
    assert_eq!((first.0, first.1), (0, 0));
    assert!((0..20).all(|_| round(&mut arena) == first), "levels are used again");
}

#[test]
fn a_number_is_kept_in_place_of_a_block() {
    fn same<E: Element>(value: E) {
        let payload = Payload::inline(value);
        let copy = payload;
        assert!(payload.slice::<E>() == [value] && copy.slice::<E>() == [value]);
    }
    [0.0, -0.0, 1.5, f64::MAX, f64::INFINITY].into_iter().for_each(same);
    [-2.5, f32::MIN_POSITIVE].into_iter().for_each(same);
    [i64::MIN, -1, 0, i64::MAX].into_iter().for_each(same);
    assert_eq!(Payload::inline(f64::NAN).slice::<f64>()[0].to_bits(), f64::NAN.to_bits());
    // Any bits are a number, but not a mask.
    assert_eq!(Payload::inline(-1i64).slice::<f32>()[0].to_bits(), u32::MAX);
    assert!(panics(|| _ = Payload::inline(true)) && panics(|| _ = Payload::inline(7i64).slice::<bool>()));
    let (_tape, storage) = tape_with_block(1);
    assert!(Payload::block(storage).storage() == storage);
}
