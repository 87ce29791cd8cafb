//! A dry run that has nothing against a restore is followed by one that works, and one that refuses is right: by every
//! kind of object, for logins of different rights, into every kind of target.

use crate::support::objects::{PROOF, ROLES, kinds_of};
use crate::support::postgres::{MAJORS, postgres};

#[test]
fn every_kind_of_object_can_be_beside_all_others() {
    for major in MAJORS {
        let server = postgres(major);
        let database = server.create_database("kinds");
        database.sql(ROLES);
        database.sql(PROOF);
        for kind in kinds_of(server) {
            database.sql(&format!("-- {}\n{}", kind.name, kind.sql));
        }
    }
}
