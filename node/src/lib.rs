//! One process: assembly, sources, reports, host adapters.
