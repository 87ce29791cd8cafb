//! Room for a restore in a database that holds what the backup holds: everything of it is dropped, and nothing else.
//!
//! `pg_restore --clean` drops one object after the other in the order that the backup had them. It fails at the keys
//! of partitions, which go only with the key of their parent, and wherever the target has come to depend on things in
//! another order. So the tables, views and sequences of the backup are dropped here before it, each with all that
//! depends on it, by a block that then looks for what else went: whatever is missing and does not come back with the
//! backup makes it fail, and names it. The block runs in the transaction of the restore, or in one of its own.

use super::archive::Catalog;
use super::query::{array, block_of, identifier};

/// What the failure says that names objects which only the target has.
pub const WOULD_DROP: &str = "the target holds what the backup does not";

/// What can be dropped with another object, a row each: of what kind it is, its schema, its name as pg_dump has it, and
/// as people read it. Of what the backup replaces (`held`) the parts do not count, nor do sequences of its columns.
const INVENTORY: &str = "
    SELECT 'relation' AS kind, n.nspname::text AS schema, c.relname::text AS name,
           CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
                WHEN 'f' THEN 'foreign table' ELSE 'table' END || format(' %I.%I', n.nspname, c.relname) AS shown
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r','p','v','m','S','f') AND n.nspname !~ '^pg_(toast|temp)'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                      AND c.relkind = 'S' AND d.refobjid = ANY (held) AND d.deptype IN ('a','i'))
  UNION ALL
    SELECT 'function', n.nspname, format('%s(%s)', p.proname, oidvectortypes(p.proargtypes)),
           format('function %I.%I(%s)', n.nspname, p.proname, oidvectortypes(p.proargtypes))
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.oid >= 16384
  UNION ALL
    SELECT 'type', n.nspname, t.typname, format('type %I.%I', n.nspname, t.typname)
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
    WHERE t.oid >= 16384 AND (t.typtype IN ('d','e','r') OR c.relkind = 'c')
  UNION ALL
    SELECT 'published', n.nspname, format('%s %s', p.pubname, c.relname),
           format('table %I.%I in publication %I', n.nspname, c.relname, p.pubname)
    FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
    JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  UNION ALL
    SELECT 'part', '', '', pg_describe_object(part.classid, part.objid, part.objsubid)
    FROM (SELECT 'pg_constraint'::regclass, oid, 0, conrelid FROM pg_constraint WHERE conrelid <> 0
          UNION ALL SELECT 'pg_attrdef'::regclass, oid, 0, adrelid FROM pg_attrdef
          UNION ALL SELECT 'pg_policy'::regclass, oid, 0, polrelid FROM pg_policy
          UNION ALL SELECT 'pg_trigger'::regclass, oid, 0, tgrelid FROM pg_trigger WHERE NOT tgisinternal
          UNION ALL SELECT 'pg_rewrite'::regclass, oid, 0, ev_class FROM pg_rewrite WHERE rulename <> '_RETURN'
          UNION ALL SELECT 'pg_class'::regclass, indexrelid, 0, indrelid FROM pg_index
          UNION ALL SELECT 'pg_class'::regclass, attrelid, attnum, attrelid FROM pg_attribute
                    WHERE attnum > 0 AND NOT attisdropped) part (classid, objid, objsubid, relation)
    JOIN pg_class c ON c.oid = part.relation
    WHERE c.oid >= 16384 AND c.relkind IN ('r','p','v','m','f') AND c.oid <> ALL (held)";

/// The block that makes room for the entries of `catalog` that `chosen` accepts, in the encoding of the archive.
pub fn block(catalog: &Catalog, chosen: &dyn Fn(i64) -> bool) -> Vec<u8> {
    let (mut relations, mut functions, mut types) = (Vec::new(), Vec::new(), Vec::new());
    let mut published = Vec::new();
    for entry in catalog.entries.iter().filter(|entry| chosen(entry.id)) {
        let (into, name) = match &*entry.kind {
            "TABLE" | "VIEW" | "MATERIALIZED VIEW" | "SEQUENCE" | "FOREIGN TABLE" => {
                let table = identifier(&entry.schema) + "." + &identifier(&entry.tag);
                (&mut relations, table)
            }
            "FUNCTION" | "PROCEDURE" | "AGGREGATE" => {
                (&mut functions, format!("{}.{}", entry.schema, entry.tag))
            }
            "TYPE" | "DOMAIN" => (&mut types, format!("{}.{}", entry.schema, entry.tag)),
            // called `publication table`, in the schema of the table
            "PUBLICATION TABLE" => (&mut published, format!("{}.{}", entry.schema, entry.tag)),
            _ => continue,
        };
        into.push(name);
    }
    let of = |names: &[String]| array(names.iter().map(String::as_str));
    let body = format!(
        "
DECLARE
  relations CONSTANT text[] := {relations};
  functions CONSTANT text[] := {functions};
  types CONSTANT text[] := {types};
  published CONSTANT text[] := {published};
  held oid[];
  before jsonb;
  missing text[];
  relation record;
BEGIN
  SELECT coalesce(array_agg(c.oid), '{{}}') INTO held FROM unnest(relations) known (name)
    JOIN pg_class c ON c.oid = to_regclass(known.name) AND c.relkind IN ('r','p','v','m','S','f');
  IF held = '{{}}' THEN
    RETURN;
  END IF;
  SELECT jsonb_agg(thing) INTO before FROM ({INVENTORY}) thing;
  FOR relation IN
    SELECT c.oid, c.relkind, format('%I.%I', n.nspname, c.relname) AS name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY (held)
    ORDER BY c.relispartition, c.relkind = 'S'
  LOOP
    CONTINUE WHEN to_regclass(relation.name) IS NULL;
    EXECUTE format('DROP %s %s CASCADE', CASE relation.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
      WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, relation.name);
  END LOOP;
  SELECT array_agg(old.shown ORDER BY old.shown) INTO missing
    FROM jsonb_to_recordset(before) AS old (kind text, schema text, name text, shown text)
    WHERE NOT (old.kind = 'relation' AND format('\"%s\".\"%s\"', replace(old.schema, '\"', '\"\"'),
                                                 replace(old.name, '\"', '\"\"')) = ANY (relations))
      AND NOT (old.kind = 'function' AND old.schema || '.' || old.name = ANY (functions))
      AND NOT (old.kind = 'type' AND old.schema || '.' || old.name = ANY (types))
      AND NOT (old.kind = 'published' AND old.schema || '.' || old.name = ANY (published))
      AND old.shown NOT IN (SELECT thing.shown FROM ({INVENTORY}) thing WHERE thing.shown IS NOT NULL);
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION '{WOULD_DROP}, and it depends on what is to be dropped: %',
      array_to_string(missing[1:5], ', ') || CASE WHEN cardinality(missing) > 5
      THEN format(' and %s more', cardinality(missing) - 5) ELSE '' END;
  END IF;
END",
        relations = of(&relations),
        functions = of(&functions),
        types = of(&types),
        published = of(&published),
    );
    catalog.names().encode(&block_of(&body))
}
