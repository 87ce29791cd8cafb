//! Room for a restore in a database that holds what the backup holds: everything of it is dropped, and nothing else.
//!
//! `pg_restore --clean` drops one object after the other in the order that the backup had them. It fails at the keys
//! of partitions, which go only with the key of their parent, and wherever the target has come to depend on things in
//! another order. So the tables, views and sequences of the backup are dropped here before it, each with all that
//! depends on it, by a block that then looks for what else went: whatever is missing and does not come back with the
//! backup makes it fail, and names it. The block runs in the transaction of the restore. Without one it commits after so
//! many relations that the server has room for their locks, and looks for what else went each time before.

use super::archive::{Toc, TocEntry};
use crate::error::Result;
use crate::postgres::client::Client;
use crate::postgres::messages::WOULD_DROP;
use crate::postgres::quoting::{array, block_of, identifier};

/// Kinds of relation that are dropped here.
const RELATIONS: &str = "('r','p','v','m','S','f')";

/// What can be dropped with another object, a row each: of what kind it is, its schema, its name as pg_dump has it, how
/// people read it, where it stands in the catalogs, and the relation that it is a part of. Of what the backup replaces
/// (`held`) the parts do not count, nor do sequences of its columns. What the server makes and drops with something else,
/// as it does the functions of a range type and the foreign keys of partitions, goes and comes with that.
const INVENTORY: &str = "
    SELECT 'relation' AS kind, n.nspname::text AS schema, c.relname::text AS name,
           CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
                WHEN 'f' THEN 'foreign table' ELSE 'table' END || format(' %I.%I', n.nspname, c.relname) AS shown,
           'pg_class'::regclass::oid AS classid, c.oid AS objid, 0 AS objsubid, 0::oid AS part_of
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r','p','v','m','S','f') AND n.nspname !~ '^pg_(toast|temp)'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                      AND c.relkind = 'S' AND d.refobjid = ANY (held) AND d.deptype IN ('a','i'))
  UNION ALL
    SELECT 'function', n.nspname, format('%s(%s)', p.proname, CASE WHEN p.prokind = 'a' AND p.pronargs = 0 THEN '*'
             ELSE oidvectortypes(p.proargtypes) END),
           format('function %I.%I(%s)', n.nspname, p.proname, oidvectortypes(p.proargtypes)),
           'pg_proc'::regclass, p.oid, 0, 0
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.oid >= 16384
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')
  UNION ALL
    SELECT 'type', n.nspname, t.typname, format('type %I.%I', n.nspname, t.typname),
           'pg_type'::regclass, t.oid, 0, 0
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
    WHERE t.oid >= 16384 AND (t.typtype IN ('d','e','r') OR c.relkind = 'c')
  UNION ALL
    SELECT 'published', n.nspname, format('%s %s', p.pubname, c.relname),
           format('table %I.%I in publication %I', n.nspname, c.relname, p.pubname),
           'pg_publication_rel'::regclass, r.oid, 0, 0
    FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
    JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  UNION ALL
    SELECT part.kind, n.nspname, format('%s %s', c.relname, part.name),
           pg_describe_object(part.classid, part.objid, part.objsubid),
           part.classid, part.objid, part.objsubid, part.relation
    FROM (SELECT CASE contype WHEN 'f' THEN 'foreign key' ELSE 'constraint' END, 'pg_constraint'::regclass, oid, 0, conrelid, conname
                 FROM pg_constraint WHERE conrelid <> 0 AND conparentid = 0
          UNION ALL SELECT 'default', 'pg_attrdef'::regclass, d.oid, 0, adrelid, attname FROM pg_attrdef d
                    JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
          UNION ALL SELECT 'policy', 'pg_policy'::regclass, oid, 0, polrelid, polname FROM pg_policy
          UNION ALL SELECT 'trigger', 'pg_trigger'::regclass, oid, 0, tgrelid, tgname FROM pg_trigger WHERE NOT tgisinternal
          UNION ALL SELECT 'rule', 'pg_rewrite'::regclass, oid, 0, ev_class, rulename FROM pg_rewrite WHERE rulename <> '_RETURN'
          UNION ALL SELECT 'index', 'pg_class'::regclass, indexrelid, 0, indrelid, i.relname FROM pg_index
                    JOIN pg_class i ON i.oid = indexrelid
          UNION ALL SELECT 'part', 'pg_class'::regclass, attrelid, attnum, attrelid, attname FROM pg_attribute
                    WHERE attnum > 0 AND NOT attisdropped) part (kind, classid, objid, objsubid, relation, name)
    JOIN pg_class c ON c.oid = part.relation JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid >= 16384 AND c.relkind IN ('r','p','v','m','f') AND c.oid <> ALL (held)";

/// True of a row `old` of the inventory that the backup brings back.
const COMES_BACK: &str = "(
         old.kind = 'relation' AND format('\"%s\".\"%s\"', replace(old.schema, '\"', '\"\"'),
                                          replace(old.name, '\"', '\"\"')) = ANY (relations)
      OR old.kind = 'function' AND old.schema || '.' || old.name = ANY (functions)
      OR old.kind = 'type' AND old.schema || '.' || old.name = ANY (types)
      OR old.kind = 'published' AND old.schema || '.' || old.name = ANY (published)
      OR old.kind || ' ' || old.schema || '.' || old.name = ANY (parts))";

/// The relations that are dropped here, as `identifier` writes their names. The function `to_regclass` fails in a schema
/// that the role may not use, where what it lacks is to be told instead.
const BY_NAME: &str = "
    SELECT c.oid, format('\"%s\".\"%s\"', replace(n.nspname, '\"', '\"\"'), replace(c.relname, '\"', '\"\"')) AS name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r','p','v','m','S','f')";

/// In which order the relations `c` are dropped: what others consist of comes before that, so that no single statement takes
/// thousands along.
const LEAVES_FIRST: &str = "c.relkind = 'S', c.relkind NOT IN ('v','m'), c.relhassubclass";
/// How many relations are dropped in one of several transactions. Each takes a handful of locks, or some dozens with
/// many columns, indexes and constraints.
const A_BATCH: &str = "greatest(10, current_setting('max_locks_per_transaction')::int * current_setting('max_connections')::int / 32)";

/// What an entry of an archive is in the inventory: of what kind, and its name behind its schema.
fn in_the_inventory(entry: &TocEntry) -> Option<(&'static str, String)> {
    let kind = match &*entry.kind {
        "TABLE" | "VIEW" | "MATERIALIZED VIEW" | "SEQUENCE" | "FOREIGN TABLE" => "relation",
        "FUNCTION" | "PROCEDURE" | "AGGREGATE" => "function",
        "TYPE" | "DOMAIN" => "type",
        // called `publication table`, in the schema of the table
        "PUBLICATION TABLE" => "published",
        // called `table name`, as all parts of tables but indexes are
        "FK CONSTRAINT" => "foreign key",
        "CONSTRAINT" | "CHECK CONSTRAINT" => "constraint",
        "DEFAULT" => "default",
        "POLICY" => "policy",
        "TRIGGER" => "trigger",
        "RULE" => "rule",
        "INDEX" => {
            let (schema, index) = (&entry.schema, &entry.tag);
            return Some(("index", format!("{schema}.{index}")));
        }
        _ => return None,
    };
    Some((kind, format!("{}.{}", entry.schema, entry.tag)))
}

/// What is restored and can come in the place of something that is there: names, as arrays of SQL.
struct Names {
    relations: String,
    functions: String,
    types: String,
    published: String,
    /// Parts of tables, each with its kind before its name.
    parts: String,
}

impl Names {
    fn of(catalog: &Toc, chosen: &dyn Fn(i64) -> bool) -> Names {
        let (mut relations, mut functions, mut types) = (Vec::new(), Vec::new(), Vec::new());
        let (mut published, mut parts) = (Vec::new(), Vec::new());
        for entry in catalog.entries.iter().filter(|entry| chosen(entry.id)) {
            match in_the_inventory(entry) {
                Some(("relation", _)) => {
                    relations.push(identifier(&entry.schema) + "." + &identifier(&entry.tag));
                }
                Some(("function", name)) => functions.push(name),
                Some(("type", name)) => types.push(name),
                Some(("published", name)) => published.push(name),
                Some((kind, name)) => parts.push(format!("{kind} {name}")),
                None => {}
            }
        }
        let of = |names: &[String]| array(names.iter().map(String::as_str));
        Names {
            relations: of(&relations),
            functions: of(&functions),
            types: of(&types),
            published: of(&published),
            parts: of(&parts),
        }
    }
}

/// Something of the target that would be dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DroppedObject {
    /// What it is and how it is called, for people.
    pub shown: String,
    kind: String,
    /// Behind its schema.
    name: String,
}

impl DroppedObject {
    /// True of the entry of an archive that makes it again.
    pub fn is_brought_back_by(&self, entry: &TocEntry) -> bool {
        let found = in_the_inventory(entry);
        found.is_some_and(|(kind, name)| kind == self.kind && name == self.name)
            // with the constraint comes its index
            || self.kind == "index" && entry.kind == "CONSTRAINT" && {
                let index = entry.tag.split_once(' ').map_or("", |(_, name)| name);
                self.name == format!("{}.{index}", entry.schema)
            }
    }

    /// For tests of what follows from it.
    #[cfg(test)]
    pub fn called(shown: &str) -> DroppedObject {
        DroppedObject {
            shown: shown.into(),
            ..DroppedObject::default()
        }
    }
}

/// What making room would mean, by the catalogs alone: nothing is locked.
#[derive(Debug, Clone, Default)]
pub struct DropEffects {
    /// The tables, views and sequences that would be dropped, as `table public.orders`.
    pub dropped: Vec<String>,
    /// What the role may not drop, since it belongs to someone else.
    pub foreign: Vec<String>,
    /// What depends on what would be dropped and does not come back with the backup.
    pub lost: Vec<DroppedObject>,
    /// How many locks one transaction would hold that drops all of it: one for each object, whatever its kind.
    pub locks: u64,
}

/// Asks the target what making room for the entries of `catalog` that `chosen` accepts would mean.
pub fn outlook(
    catalog: &Toc,
    chosen: &dyn Fn(i64) -> bool,
    client: &Client,
) -> Result<DropEffects> {
    let names = Names::of(catalog, chosen);
    let sql = format!(
        "
WITH RECURSIVE named AS (
  SELECT {relations} AS relations, {functions} AS functions, {types} AS types, {published} AS published,
         {parts} AS parts
), known AS MATERIALIZED (
  SELECT named.*, (SELECT coalesce(array_agg(c.oid), '{{}}') FROM unnest(relations) replaced (name)
                   JOIN ({BY_NAME}) c ON c.name = replaced.name) AS held FROM named
), inventory AS MATERIALIZED (
  SELECT thing.* FROM known, LATERAL ({INVENTORY}) thing
), gone (classid, objid, objsubid) AS (
    SELECT 'pg_class'::regclass::oid, unnest(held), 0 FROM known
  UNION
    SELECT old.classid, old.objid, 0 FROM known, inventory old WHERE old.kind IN ('function', 'type') AND {COMES_BACK}
  UNION
    SELECT next.* FROM gone CROSS JOIN LATERAL (
        SELECT d.classid, d.objid, d.objsubid FROM pg_depend d WHERE d.refclassid = gone.classid
          AND d.refobjid = gone.objid AND (gone.objsubid = 0 OR d.refobjsubid = gone.objsubid) AND d.deptype <> 'e'
      UNION ALL
        -- what is a part of something else takes it along
        SELECT d.refclassid, d.refobjid, d.refobjsubid FROM pg_depend d WHERE d.classid = gone.classid
          AND d.objid = gone.objid AND gone.objsubid = 0 AND d.deptype = 'i') next
)
SELECT 'dropped', old.shown, old.kind, old.schema || '.' || old.name FROM known, inventory old WHERE old.kind = 'relation' AND old.objid = ANY (held)
UNION ALL
SELECT 'foreign', old.shown, old.kind, old.schema || '.' || old.name FROM known, inventory old
  LEFT JOIN pg_class c ON old.kind = 'relation' AND c.oid = old.objid
  LEFT JOIN pg_proc p ON old.kind = 'function' AND p.oid = old.objid
  LEFT JOIN pg_type t ON old.kind = 'type' AND t.oid = old.objid
  JOIN pg_namespace n ON n.nspname = old.schema
  WHERE {COMES_BACK} AND NOT pg_has_role(coalesce(c.relowner, p.proowner, t.typowner), 'USAGE')
    AND NOT pg_has_role(n.nspowner, 'USAGE')
UNION ALL
SELECT 'lost', old.shown, old.kind, old.schema || '.' || old.name FROM known, inventory old
  WHERE (old.classid, old.objid, old.objsubid) IN (SELECT classid, objid, objsubid FROM gone) AND NOT {COMES_BACK}
    AND ('pg_class'::regclass::oid, old.part_of, 0) NOT IN (SELECT classid, objid, objsubid FROM gone)
UNION ALL
SELECT 'locks', count(*)::text, '', '' FROM gone WHERE objsubid = 0
ORDER BY 2",
        relations = names.relations,
        functions = names.functions,
        types = names.types,
        published = names.published,
        parts = names.parts,
    );
    let mut outlook = DropEffects::default();
    let encoding = catalog.encoding.as_deref().unwrap_or("UTF8");
    for row in client.query_in(encoding, &sql)? {
        let [fate, shown, kind, name] = <[String; 4]>::try_from(row).unwrap_or_default();
        match fate.as_str() {
            "dropped" => outlook.dropped.push(shown),
            "foreign" => outlook.foreign.push(shown),
            "locks" => outlook.locks = shown.parse().unwrap_or_default(),
            _ => outlook.lost.push(DroppedObject { shown, kind, name }),
        }
    }
    Ok(outlook)
}

/// The block that makes room for the entries of `catalog` that `chosen` accepts, in the encoding of the archive. In
/// `batches` it commits on its way, and no transaction may be around it.
pub fn block(catalog: &Toc, chosen: &dyn Fn(i64) -> bool, batches: bool) -> Vec<u8> {
    let names = Names::of(catalog, chosen);
    let (limit, commit) = match batches {
        true => (A_BATCH, "COMMIT;"),
        false => ("ALL", ""),
    };
    let body = format!(
        "
DECLARE
  relations CONSTANT text[] := {relations};
  functions CONSTANT text[] := {functions};
  types CONSTANT text[] := {types};
  published CONSTANT text[] := {published};
  parts CONSTANT text[] := {parts};
  held oid[];
  before jsonb;
  after jsonb;
  missing text[];
  relation record;
BEGIN
  {detached}
  LOOP
    SELECT coalesce(array_agg(c.oid), '{{}}') INTO held FROM unnest(relations) known (name)
      JOIN pg_class c ON c.oid = to_regclass(known.name) AND c.relkind IN {RELATIONS};
    EXIT WHEN held = '{{}}';
    IF before IS NULL THEN
      SELECT jsonb_agg(thing) INTO before FROM ({INVENTORY}) thing;
    END IF;
    FOR relation IN
      SELECT c.oid, c.relkind, format('%I.%I', n.nspname, c.relname) AS name
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY (held)
      ORDER BY {LEAVES_FIRST} LIMIT {limit}
    LOOP
      CONTINUE WHEN to_regclass(relation.name) IS NULL;
      EXECUTE format('DROP %s %s CASCADE', CASE relation.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
        WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, relation.name);
    END LOOP;
    SELECT coalesce(jsonb_agg(thing), '[]') INTO after FROM ({INVENTORY}) thing;
    SELECT array_agg(old.shown ORDER BY old.shown) INTO missing
      FROM (SELECT * FROM jsonb_to_recordset(before) AS known (kind text, schema text, name text, shown text)
            EXCEPT SELECT * FROM jsonb_to_recordset(after) AS still (kind text, schema text, name text, shown text)) old
      WHERE NOT {COMES_BACK};
    IF missing IS NOT NULL THEN
      RAISE EXCEPTION '{WOULD_DROP}, and it depends on what is to be dropped: %',
        array_to_string(missing[1:5], ', ') || CASE WHEN cardinality(missing) > 5
        THEN format(' and %s more', cardinality(missing) - 5) ELSE '' END;
    END IF;
    before := after;
    {commit}
  END LOOP;
END",
        relations = names.relations,
        functions = names.functions,
        types = names.types,
        published = names.published,
        detached = detached_subscriptions(catalog, chosen),
        parts = names.parts,
    );
    catalog.names().encode(&block_of(&body))
}

/// Statements that part each subscription that the backup holds from its slot. With one, it is dropped in no transaction, and
/// only with its publisher's help, who then lacks the slot that the restored subscription names.
fn detached_subscriptions(catalog: &Toc, chosen: &dyn Fn(i64) -> bool) -> String {
    let held = catalog.entries.iter();
    let held = held.filter(|entry| entry.kind == "SUBSCRIPTION" && chosen(entry.id));
    let names = array(held.map(|entry| entry.tag.as_str()));
    format!(
        "FOR relation IN
    SELECT subname AS name FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
    WHERE d.datname = current_database() AND s.subslotname IS NOT NULL AND s.subname = ANY ({names})
  LOOP
    EXECUTE format('ALTER SUBSCRIPTION %I DISABLE', relation.name);
    EXECUTE format('ALTER SUBSCRIPTION %I SET (slot_name = NONE)', relation.name);
  END LOOP;"
    )
}
