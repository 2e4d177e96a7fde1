//! Planted bugs, by which the checkers of chaos experiments are checked: a checker that has never
//! seen its bug proves nothing.
//!
//! They are compiled in with the feature `mutants` alone, and then do nothing until one is made
//! [`live`] for the thread that runs a simulation. Without the feature [`is_live`] is the constant
//! `false` and nothing of them is left in the program.

/// How rarely a bug shows, and so how many seeds may pass before it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// It shows in most runs with faults.
    Loud,
    /// It needs faults to meet.
    Medium,
    /// It needs a rare course.
    Rare,
}

/// Where a bug can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum World {
    /// In what the engine decides.
    Virtual,
    /// In what stands around it: consensus on disks, what is answered to others.
    InProcess,
}

macro_rules! mutants {
    ($($name:ident $class:ident $world:ident $says:literal,)+) => {
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

            /// Where it can show.
            pub const fn world(self) -> World {
                match self { $(Self::$name => World::$world,)+ }
            }

            /// Seeds of its world within which it has to be found.
            pub const fn seeds(self) -> u64 {
                match (self.class(), self.world()) {
                    (Class::Loud, _) => 20,
                    (Class::Medium, World::Virtual) => 200,
                    (Class::Medium, World::InProcess) => 50,
                    (Class::Rare, World::Virtual) => 5_000,
                    (Class::Rare, World::InProcess) => 500,
                }
            }
        }
    };
}

mutants! {
    LeaseNeverLapses Loud Virtual "an owner ignores that its lease has lapsed",
    FenceLetsAllThrough Loud Virtual "a receiver accepts a lower epoch",
    NewOwnerDoesNotWait Loud Virtual "a new owner is acknowledged while the former one may act",
    AssignmentKeepsEpoch Loud Virtual "a change of owners gives no new epoch",
    ActivationKeepsEpoch Loud Virtual "an activation gives no new epoch",
    RetryDoneTwice Loud Virtual "a command that is repeated is done again",
    RulesFallbackOff Loud Virtual "rules do not decide when the voters cannot",
    MissingVoteAgrees Loud Virtual "a missing vote counts as agreement",
    SheddingNotCounted Loud Virtual "events are shed without being counted",
    QueueWithoutBound Loud Virtual "admission forgets its limit",
    FailedNodesKeepWork Loud Virtual "what a failed node owned stays with it",
    DigestsForgetTheOld Loud Virtual "a changed record's former hash stays in the digests",
    LateVotersWaitedFor Loud Virtual "a voter that does not answer is waited for without end",
    RenewalsEnd Loud Virtual "a lease is renewed once and never again",
    CountsAreAdded Medium Virtual "counts of one log are added when records meet",
    ClosedRemovedEarly Medium Virtual "a closed threat is removed before others know of it",
    OpenRemovedToo Medium Virtual "threats that are open are collected, too",
    KeptNotLifted Medium Virtual "a closed threat that others lack stays below the floor",
    AwayKeepsAll Medium Virtual "a node that was away keeps what others have removed",
    ClockIgnoresOthers Medium Virtual "the hybrid clock is not advanced by what is received",
    FieldNotJoined Medium Virtual "who works on a threat is not joined",
    PartitionNotCompared Medium Virtual "one partition is left out when nodes compare",
    LeaseWithoutDrift Medium Virtual "leases reckon with clocks that are exact",
    ReleaseOfAnyEpoch Medium Virtual "a former owner's release takes the new one's lease",
    SecondCrashForgotten Medium Virtual "a supervisor forgets a child on its second crash",
    BreakerStaysOpen Medium Virtual "a breaker never lets a probe through",
    SnapshotForgetsReplies Medium Virtual "a snapshot has no replies to clients",
    SnapshotForgetsIndex Medium Virtual "a snapshot says that it ends one entry earlier",
    StaleRenewalsCount Rare Virtual "a renewal counts before what was agreed on is applied here",
    RoomLeaks Rare Virtual "one admitted batch of a hundred gives its room never back",
    JournalNotSynced Loud InProcess "what is appended is acknowledged before it is synced",
    VoteNotStored Loud InProcess "a vote is given before it is stored",
    StaleReadServed Loud InProcess "a read that must be fresh asks no majority",
    AppliedBeforeStored Loud InProcess "a leader applies what its own disk lacks",
    NoCertificateAccepted Loud InProcess "a peer that shows no certificate is let in",
    OtherClusterAccepted Loud InProcess "a peer with a certificate of another cluster is let in",
    FailedSyncForgotten Rare InProcess "a failed sync is taken for a good one",
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
