//! ractor actors: thin shells; supervision; observation; ports.
