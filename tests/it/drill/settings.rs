//! What a database sets for its sessions, in a drill.

use super::{backed_up, drill, nothing_is_left};
use crate::support::postgres::postgres;

#[test]
fn rows_that_depend_on_settings_of_their_database_come_back_and_nothing_else_is_set() {
    let database = postgres(18).create_database("set");
    let name = &database.name;
    // equal values have other texts by these, and checks another outcome
    database.sql(&format!(
        "CREATE FUNCTION is_nothing(text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN coalesce($1 = NULL, false); END';
         CREATE TABLE of_settings (nothing text CHECK (public.is_nothing(nothing)), tenant text CHECK (tenant = current_setting('app.tenant')),
           at timestamptz CHECK (extract(hour FROM at) < 9), relation regclass, bytes bytea, price money, since date,
           lasts interval, number float8, document xml);
         SET app.tenant = 'it''s \\ a'; SET timezone = 'Europe/Berlin'; SET transform_null_equals = on;
         INSERT INTO of_settings VALUES (NULL, 'it''s \\ a', '2026-01-10 00:30', 'pg_class', '\\x00ff', '1.5', '2026-01-10',
           '-1 day 02:03', 0.1, '<a/>');
         ALTER DATABASE {name} SET app.tenant = 'it''s \\ a';
         ALTER DATABASE {name} SET timezone = 'Europe/Berlin';
         ALTER DATABASE {name} SET quote_all_identifiers = on;
         ALTER DATABASE {name} SET bytea_output = escape;
         ALTER DATABASE {name} SET datestyle = 'German, DMY';
         ALTER DATABASE {name} SET intervalstyle = sql_standard;
         ALTER DATABASE {name} SET extra_float_digits = -5;
         ALTER DATABASE {name} SET xmlbinary = hex;
         ALTER DATABASE {name} SET transform_null_equals = on;
         ALTER DATABASE {name} SET xmloption = document;
         ALTER DATABASE {name} SET search_path = pg_catalog, public;
         ALTER DATABASE {name} SET default_transaction_read_only = on;
         ALTER DATABASE {name} SET statement_timeout = '50ms';
         ALTER DATABASE {name} SET dynamic_library_path = '/nowhere'"
    ));
    let sandbox = backed_up(&database);
    drill(&sandbox).exits(0);
    nothing_is_left(&sandbox);
}
