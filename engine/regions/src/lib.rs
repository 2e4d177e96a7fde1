//! What nodes in several regions agree on or share, as machines without I/O: time, randomness and
//! messages are arguments, so that production and simulation run the same code. [`control_log`] is
//! agreed on; [`threats`] is shared without agreement; [`failure_detector`] says who is silent, and
//! [`agreement`] who has failed; [`lease`] says who may act,
//! [`spread`] what there is to own and where it is at home, [`failover`] who takes over,
//! [`orders`] what people want of a region, and [`balancer`] how evenly all of it is borne;
//! [`peer_time`] bounds a wall clock by those of the others,
//! [`rollout`] brings new models in and takes them back.

pub mod agreement;
pub mod anti_entropy;
pub mod balancer;
pub mod clock;
pub mod control_log;
pub mod digest;
pub mod failover;
pub mod failure_detector;
pub mod lease;
pub mod orders;
pub mod peer_time;
pub mod placement;
pub mod rollout;
pub mod spread;
pub mod threats;

#[cfg(test)]
mod test_bench;
