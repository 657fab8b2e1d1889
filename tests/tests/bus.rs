//! The conformance suite of the bus: every promise of `runtime::bus`, kept by both implementations alike.
//!
//! The embedded bus runs in paused time, so that its timers are exact and cost nothing; the other against a real
//! nats-server, one for each test. What only NATS has, outages and set-up, is tested beside.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and their tasks end with them"
)]

#[path = "bus/asks.rs"]
mod asks;
#[path = "bus/control.rs"]
mod control;
#[path = "bus/jobs.rs"]
mod jobs;
#[path = "bus/outage.rs"]
mod outage;
#[path = "bus/permissions.rs"]
mod permissions;
#[path = "bus/rig.rs"]
mod rig;
#[path = "bus/setup.rs"]
mod setup;
#[path = "bus/updates.rs"]
mod updates;

/// Each promise as two tests.
macro_rules! kept_by_both {
    ($($area:ident: $($promise:ident)+;)+) => {
        mod embedded {
            $(mod $area { $(
                #[tokio::test(start_paused = true)]
                async fn $promise() {
                    crate::$area::$promise::<crate::rig::InProcess>().await;
                }
            )+ })+
        }
        mod nats {
            $(mod $area { $(
                #[tokio::test]
                async fn $promise() {
                    crate::$area::$promise::<crate::rig::OverNats>().await;
                }
            )+ })+
        }
    };
}

kept_by_both! {
    asks:
        an_ask_and_its_answer_arrive_as_they_were_sent
        of_two_pollers_one_answers
        where_no_poller_is_there_that_is_said_at_once
        a_poller_that_declines_is_followed_by_another_try
        where_all_decline_nobody_answers
        a_large_answer_comes_whole
        a_slow_answer_is_waited_for_and_asked_for_once
        a_poller_that_leaves_asks_lying_is_passed_over
        an_answer_that_never_comes_costs_a_bounded_wait;
    control:
        everybody_who_is_there_answers
        who_does_not_answer_costs_the_wait_and_no_more
        what_is_told_reaches_all;
    jobs:
        a_second_ask_for_a_tick_is_a_duplicate
        a_duplicate_is_forgotten_after_a_while
        a_topic_is_busy_until_its_job_is_done
        a_job_that_is_done_does_not_come_again
        a_worker_that_waits_gets_the_job
        a_silent_worker_loses_its_job
        progress_keeps_a_job
        a_job_given_back_goes_to_another_at_once
        who_waits_gets_the_job_of_who_falls_silent
        no_more_are_worked_on_than_the_limit
        a_job_is_given_up_and_frees_its_topic_when_too_old
        a_job_that_nobody_took_is_forgotten
        a_wait_that_is_dropped_takes_no_job
        the_oldest_comes_first
        two_workers_share_one_queue
        a_queue_holds_the_jobs_of_one_datasource;
    updates:
        the_first_update_of_a_tick_counts
        a_tick_may_be_published_again_after_a_while
        an_update_arrives_as_it_was_published
        every_subscriber_gets_all_in_order
        who_joins_misses_nothing
        history_is_by_tick_and_bounded
        a_long_history_of_large_results_comes_whole
        history_grows_old
        a_subscription_ends_when_it_is_dropped
        a_reader_that_is_too_slow_is_told_so
        the_state_is_up;
}
