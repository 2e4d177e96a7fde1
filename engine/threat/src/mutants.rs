//! Planted bugs, by which the checkers of chaos experiments are checked: a checker that has never
//! seen its bug proves nothing.
//!
//! They are compiled in with the feature `mutants` alone, and then do nothing until one is made
//! [`live`] for the thread that runs a simulation. Without the feature [`is_live`] is the constant
//! `false` and nothing of them is left in the program.

/// How rarely a bug shows, and so how many seeds may pass before it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// It shows in most runs with faults: 20 seeds.
    Loud,
    /// It needs faults to meet: 200 seeds.
    Medium,
    /// It needs a rare course: 5,000 seeds.
    Rare,
}

impl Class {
    /// Seeds of the virtual world within which it has to be found.
    pub const fn seeds(self) -> u64 {
        match self {
            Self::Loud => 20,
            Self::Medium => 200,
            Self::Rare => 5_000,
        }
    }
}

macro_rules! mutants {
    ($($name:ident $class:ident $says:literal,)+) => {
        /// A planted bug.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mutant {
            $(#[doc = $says] $name,)+
        }

        impl Mutant {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// What is wrong with it live.
            pub const fn says(self) -> &'static str {
                match self { $(Self::$name => $says,)+ }
            }

            /// How rarely it shows.
            pub const fn class(self) -> Class {
                match self { $(Self::$name => Class::$class,)+ }
            }
        }
    };
}

mutants! {
    LeaseNeverLapses Loud "an owner ignores that its lease has lapsed",
    FenceLetsAllThrough Loud "a receiver accepts a lower epoch",
    NewOwnerDoesNotWait Loud "a new owner is acknowledged while the former one may act",
    AssignmentKeepsEpoch Loud "a change of owners gives no new epoch",
    ActivationKeepsEpoch Loud "an activation gives no new epoch",
    RetryDoneTwice Loud "a command that is repeated is done again",
    RulesFallbackOff Loud "rules do not decide when the voters cannot",
    MissingVoteAgrees Loud "a missing vote counts as agreement",
    SheddingNotCounted Loud "events are shed without being counted",
    QueueWithoutBound Loud "admission forgets its limit",
    FailedNodesKeepWork Loud "what a failed node owned stays with it",
    DigestsForgetTheOld Loud "a changed record's former hash stays in the digests",
    LateVotersWaitedFor Loud "a voter that does not answer is waited for without end",
    RenewalsEnd Loud "a lease is renewed once and never again",
    CountsAreAdded Medium "counts of one log are added when records meet",
    ClosedRemovedEarly Medium "a closed threat is removed before others know of it",
    OpenRemovedToo Medium "threats that are open are collected, too",
    KeptNotLifted Medium "a closed threat that others lack stays below the floor",
    AwayKeepsAll Medium "a node that was away keeps what others have removed",
    ClockIgnoresOthers Medium "the hybrid clock is not advanced by what is received",
    FieldNotJoined Medium "who works on a threat is not joined",
    PartitionNotCompared Medium "one partition is left out when nodes compare",
    LeaseWithoutDrift Medium "leases reckon with clocks that are exact",
    ReleaseOfAnyEpoch Medium "a former owner's release takes the new one's lease",
    SecondCrashForgotten Medium "a supervisor forgets a child on its second crash",
    BreakerStaysOpen Medium "a breaker never lets a probe through",
    SnapshotForgetsReplies Medium "a snapshot has no replies to clients",
    SnapshotForgetsIndex Medium "a snapshot says that it ends one entry earlier",
    StaleRenewalsCount Rare "a renewal counts before what was agreed on is applied here",
    RoomLeaks Rare "one admitted batch of a hundred gives its room never back",
}

/// Whether this program has them.
pub const COMPILED: bool = cfg!(feature = "mutants");

#[cfg(feature = "mutants")]
std::thread_local! {
    static LIVE: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}

/// Makes a bug live for this thread, or none; nothing in a program without them.
pub fn live(mutant: Option<Mutant>) {
    #[cfg(feature = "mutants")]
    LIVE.set(mutant);
    #[cfg(not(feature = "mutants"))]
    let _ = mutant;
}

/// Whether this bug is live here.
#[cfg(feature = "mutants")]
pub fn is_live(mutant: Mutant) -> bool {
    LIVE.get() == Some(mutant)
}

/// Whether this bug is live here: never, in a program without them.
#[cfg(not(feature = "mutants"))]
pub const fn is_live(_mutant: Mutant) -> bool {
    false
}
