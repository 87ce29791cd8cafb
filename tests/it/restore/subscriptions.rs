//! `--clean` where there is a subscription with a slot at a publisher that cannot be reached.

use super::{House, PLAIN};

#[test]
fn a_subscription_is_replaced_without_its_publisher_and_keeps_its_slot() {
    for major in [14, 18] {
        let house = House::on(PLAIN, major);
        house.source.sql(
            "SET client_min_messages = error;
             CREATE SUBSCRIPTION \"it's\" CONNECTION 'host=127.0.0.1 port=1 dbname=x' PUBLICATION p WITH (connect = false, slot_name = 'kept')",
        );
        house.sandbox.back_up("source");
        house.restore("source", &["--force"]).exits(0);
        for options in [
            &["--clean"][..],
            &["--clean", "--no-single-transaction"],
            &["--clean", "--jobs", "2"],
        ] {
            house
                .restore("source", &[&["--force"], options].concat())
                .exits(0);
            let kept = "SELECT subslotname, subenabled FROM pg_subscription s JOIN pg_database d ON d.oid = subdbid WHERE datname = current_database()";
            assert_eq!(house.target.sql(kept), "kept|f");
        }
        house.target.holds_the_same_as(&house.source);
    }
}
