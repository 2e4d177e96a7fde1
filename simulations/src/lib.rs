//! Seeded traffic with labelled campaigns, faults, workloads.
