//! An event that no rule of the pack matches costs no allocation, and a routed-away event neither.

#![allow(unsafe_code, reason = "counting allocations takes an allocator")]

mod support;

use detection::rules::{EventView, RuleSet, WindowField, WindowValues};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use support::{event, flow, side};
use threat::Body;
use threat::event::{ConnState, Dns, Flow, Http, Protocol};

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: hands everything to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|c| c.set(c.get() + 1));
        // SAFETY: as required of our caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: as required of our caller.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn benign_events_cost_no_allocation() {
    let (set, _) = RuleSet::load(true, &[]);
    let bytes = Flow { protocol: Protocol::Tcp, state: ConnState::SF, ..Flow::default() };
    let conn = flow(0, "192.168.1.9", "2001:db8::7", 443, bytes);
    let query = Dns { query: Some("a.very.long.name.example.org".into()), ..Dns::default() };
    let mut dns = event("zeek", "dns", 0, Body::Dns(Box::new(query)));
    dns.src = side("192.168.1.9", 40_000);
    let agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Gecko/20100101 Firefox/128.0";
    let request = Http { user_agent: Some(agent.into()), ..Http::default() };
    let http = event("zeek", "http", 0, Body::Http(Box::new(request)));
    let other = event("windows", "nobody", 0, Body::Generic);

    let mut window = WindowValues::default();
    window.set(WindowField::SrcHosts1m, 76.0);
    window.set(WindowField::PairCount, 300.0);
    for event in [&conn, &dns, &http, &other] {
        // The first event of a kind works out its route.
        assert!(set.matches(&EventView::new(event, &window, b"raw")).is_empty());
        let before = COUNT.with(Cell::get);
        assert!(set.matches(&EventView::new(event, &window, b"raw")).is_empty());
        assert_eq!(COUNT.with(Cell::get) - before, 0, "{}", event.class().name());
    }
}
