#!/usr/bin/env python3
"""Makes the frozen dumps and what is known of them.

    make_dumps.py BIN_DIR...        (one PostgreSQL `bin` directory a major version, servers included)

Starts each server on a private directory and socket, loads sample.sql, dumps it in every way that differs
on the wire, and writes dumps/NAME.dump with dumps/NAME.json. What the JSON says of rows, bytes and digests
comes from PostgreSQL itself (`pg_restore -f -`, `pg_restore -l`, lo_get) and Python's xxhash, never from
BackupKit. Needs `pip install xxhash`. Run as root it starts the servers as the user `postgres`.
Frozen means frozen: existing dumps are left as they are.
"""
import json, os, re, shutil, struct, subprocess, sys, tempfile

import xxhash

HERE = os.path.dirname(os.path.abspath(__file__))
DUMPS = os.path.join(HERE, "dumps")
AS_USER = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []


def run(*command, **options):
    return subprocess.run([*AS_USER, *command], check=True, stdout=subprocess.PIPE, **options).stdout


def unquote(text):
    """The parts of a possibly quoted, possibly qualified SQL name."""
    parts = re.findall(r'"((?:[^"]|"")*)"|([^."]+)', text)
    return [quoted.replace('""', '"') if quoted else plain for quoted, plain in parts]


def digest(pieces):
    total = sum(xxhash.xxh3_128_intdigest(piece) for piece in pieces)
    return "%032x" % (total % 2**128)


def tables_of(script):
    """Every COPY of a restore script: target, columns, rows, bytes, digest."""
    name = rb'(?:"(?:[^"]|"")*"|[a-z_0-9]+)'
    copy = re.compile(rb"^COPY (" + name + rb"\." + name + rb") (?:\(((?:" + name + rb"(?:, )?)*)\))? ?FROM stdin;\n",
                      re.M)
    tables, at = [], 0
    while found := copy.search(script, at):
        at = found.end()
        rows = []
        while True:
            end = script.index(b"\n", at)
            line, at = script[at:end], end + 1
            if line == b"\\.":
                break
            rows.append(line)
        schema, table = unquote(found[1].decode())
        tables.append({
            "schema": schema, "name": table, "columns": found[2].decode() if found[2] else None,
            "rows": len(rows), "bytes": sum(len(row) + 1 for row in rows), "digest": digest(rows),
        })
    return tables


def objects_of(listing):
    """Counts by kind, from `pg_restore -l` (the sample's schemas are no upper-case words)."""
    counts = {}
    for line in listing.splitlines():
        if found := re.match(r"\d+; \d+ \d+ ([A-Z]+(?: [A-Z]+)*) ", line):
            counts[found[1]] = counts.get(found[1], 0) + 1
    for kind in ("ENCODING", "STDSTRINGS", "SEARCHPATH", "TABLE DATA", "BLOBS"):
        counts.pop(kind, None)
    return counts


def freeze(name, bin_dir, dump, objects, counted=True):
    path = os.path.join(DUMPS, name + ".dump")
    if os.path.exists(path):
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(dump)
        file.flush()
        os.chmod(file.name, 0o644)
        script = run(f"{bin_dir}/pg_restore", "-f", "-", file.name)
        listing = run(f"{bin_dir}/pg_restore", "-l", file.name).decode()
    known = dict(re.findall(r"^;\s+(dbname|Dump Version|Dumped from database version|Dumped by pg_dump version):\s*(.*)$",
                            listing, re.M))
    facts = {
        "archive_version": known["Dump Version"].split("-")[0],
        "database": known["dbname"],
        "server_version": known["Dumped from database version"],
        "pg_dump_version": known["Dumped by pg_dump version"],
        "counted": counted,
        "tables": tables_of(script),
        "objects": objects_of(listing),
        "large_objects": {
            "count": len(objects), "bytes": sum(len(data) for _, data in objects),
            "digest": digest(struct.pack(">I", oid) + data for oid, data in objects),
        },
    }
    with open(path, "wb") as file:
        file.write(dump)
    with open(os.path.join(DUMPS, name + ".json"), "w") as file:
        json.dump(facts, file, indent=1, ensure_ascii=False)
        file.write("\n")
    print(name, len(dump), "bytes,", len(facts["tables"]), "tables")


def without_access_methods(dump, minor):
    """The same archive as archive version 1.12 or 1.13 has it, from a 1.14 one: no access method in its entries.

    (The servers that wrote those are gone from the distributions; pg_restore is the witness that it is right.)"""
    out, at = bytearray(b"PGDMP" + bytes([1, minor]) + dump[7:11]), 11

    def integer():
        nonlocal at
        raw, at = dump[at:at + 5], at + 5
        return raw, int.from_bytes(raw[1:], "little") * (-1 if raw[0] else 1)

    def string():
        nonlocal at
        raw, length = integer()
        if length >= 0:
            raw, at = raw + dump[at:at + length], at + length
        return raw, length

    for _ in range(8):
        out += integer()[0]
    for _ in range(3):
        out += string()[0]
    raw, count = integer()
    out += raw
    for _ in range(count):
        fields = "iissssisssssassz"  # id, dumper, 4 strings, section, 5 strings, access method, owner, oids, dependencies
        for field in fields:
            if field == "i":
                out += integer()[0]
            elif field == "s":
                out += string()[0]
            elif field == "a":
                string()
            else:
                while True:
                    raw, length = string()
                    out += raw
                    if length < 0:
                        break
        out += dump[at:at + 9]
        at += 9
    return bytes(out) + dump[at:]


def make(bin_dir):
    major = int(re.search(r"\d+", run(f"{bin_dir}/postgres", "--version").decode())[0])
    work = tempfile.mkdtemp(prefix="backupkit-dumps-")
    if AS_USER:
        shutil.chown(work, "postgres")
    data = f"{work}/data"
    run(f"{bin_dir}/initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
    run(f"{bin_dir}/pg_ctl", "-D", data, "-w", "-l", f"{work}/log", "-o",
        f"-c listen_addresses= -c unix_socket_directories={work} -c fsync=off", "start")
    try:
        os.environ.update(PGHOST=work, PGUSER="postgres", PGTZ="UTC")
        psql = ["psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1"]
        for name in ("sample", "nothing"):
            run(*psql, "-d", "postgres", "-c", f"CREATE DATABASE {name}")
        with open(os.path.join(HERE, "sample.sql")) as sql:
            run(*psql, "-d", "sample", stdin=sql)
        found = run(*psql, "-d", "sample", "-c",
                    "select oid, encode(lo_get(oid), 'hex') from pg_largeobject_metadata order by oid").decode()
        objects = [(int(oid), bytes.fromhex(hexed)) for oid, hexed in
                   (line.split("|") for line in found.splitlines())]

        def dump(*options, database="sample"):
            return run(f"{bin_dir}/pg_dump", "-Fc", *options, database)

        plain = dump("-Z0")
        freeze(f"{major}-plain", bin_dir, plain, objects)
        freeze(f"{major}-gzip", bin_dir, dump(), objects)
        freeze(f"{major}-nothing", bin_dir, dump(database="nothing"), [])
        # a seekable output gets its offsets filled in; from 16 on they land in a copy of the table of contents
        # behind the data, unless the file was named by -f
        with tempfile.TemporaryFile() as file:
            options = ["--statistics"] if major >= 18 else []
            subprocess.run([*AS_USER, f"{bin_dir}/pg_dump", "-Fc", *options, "sample"], check=True, stdout=file)
            file.seek(0)
            freeze(f"{major}-redirected", bin_dir, file.read(), objects)
        run(f"{bin_dir}/pg_dump", "-Fc", "-f", f"{work}/named", "sample")
        with open(f"{work}/named", "rb") as file:
            freeze(f"{major}-named", bin_dir, file.read(), objects)
        if major == 15:
            for minor in (12, 13):
                freeze(f"15-as-1.{minor}", bin_dir, without_access_methods(plain, minor), objects)
        if major >= 16:
            freeze(f"{major}-lz4", bin_dir, dump("-Zlz4"), objects, counted=False)
            freeze(f"{major}-zstd", bin_dir, dump("-Zzstd"), objects, counted=False)
        if major == 18:
            freeze("18-statistics", bin_dir, dump("-Z0", "--statistics"), objects)
            freeze("18-root", bin_dir, dump("-Z0", "--load-via-partition-root"), objects)
            freeze("18-inserts", bin_dir, dump("--inserts"), objects, counted=False)
            freeze("18-schema", bin_dir, dump("--schema-only"), [])
    finally:
        run(f"{bin_dir}/pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(work)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for directory in sys.argv[1:]:
        make(directory.rstrip("/"))
