#!/usr/bin/env python3
"""Freezes archives of every shape that this version of BackupKit writes or reads: see README.md.

    freeze.py BACKUPKIT BIN_DIR DIRECTORY

BACKUPKIT is the program, BIN_DIR the `bin` of a PostgreSQL with server and clients, DIRECTORY must not exist.
What is expected of the archives is told by the server, by Python and by decode.py, never by BackupKit.
Needs `pip install 'cryptography>=45' zstandard`.
"""
import gzip, hashlib, json, os, pathlib, struct, subprocess, sys

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

HERE = pathlib.Path(__file__).resolve().parent
PASSWORD = "correct horse"
STAMP = "20240229_020000.123456789Z"  # of the archive that the Go implementation would have made
CONFIG = """
version: 1
bin_dir: {bin}
storage: [{{ name: frozen, type: local, local: {{ path: {storage} }} }}]
databases:
  - name: app_db
    type: postgres
    connection: {{ host: {host}, port: {port}, database: app, user: postgres }}
    backup: {{ storage: frozen, compression: {compression}, encryption: {{ enabled: {encryption}, password: "{password}" }} }}
"""


def bkenc001(plain, password):
    """As the Go implementation sealed; the nonce is fixed, which no real archive's may be."""
    key, prefix = AESGCM(hashlib.sha256(password.encode()).digest()), b"frozen!!"
    frames = [plain[at : at + 32768] for at in range(0, len(plain), 32768)]
    sealed = (
        struct.pack(">I", len(frame)) + key.encrypt(prefix + struct.pack(">I", index), frame, None)
        for index, frame in enumerate(frames)
    )
    return b"BKENC001" + prefix + b"".join(sealed) + bytes(4)


def decoded(path):
    """The plain bytes, by decode.py; it does not know the old kind, which is undone here."""
    stored = path.read_bytes()
    if stored.startswith(b"BKENC001"):
        key, at, index, plain = AESGCM(hashlib.sha256(PASSWORD.encode()).digest()), 16, 0, b""
        while length := struct.unpack_from(">I", stored, at)[0]:
            frame = stored[at + 4 : at + 20 + length]
            plain += key.decrypt(stored[8:16] + struct.pack(">I", index), frame, None)
            at, index = at + 20 + length, index + 1
        return gzip.decompress(plain)
    decoder = [sys.executable, HERE.parent / "decoder/decode.py", path]
    return subprocess.run(decoder, input=PASSWORD.encode(), check=True, stdout=subprocess.PIPE).stdout


def main(backupkit, bin_dir, directory):
    directory = pathlib.Path(directory).resolve()
    directory.mkdir()
    script = HERE.parent / "parts/throwaway-postgres"
    server = subprocess.Popen([script, bin_dir], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    host, port, _ = server.stdout.readline().split()
    environment = {**os.environ, "PGHOST": host, "PGPORT": port, "PGUSER": "postgres"}

    def client(program, *arguments):
        command = [f"{bin_dir}/{program}", *arguments]
        return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout

    psql = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1"]
    client(*psql, "-c", "CREATE DATABASE app", "postgres")
    client(*psql, "-f", str(HERE / "tiny.sql"), "app")
    (directory / "says.txt").write_bytes(client(*psql, "-f", str(HERE / "tiny_says.sql"), "app"))

    config = directory / "config.yaml"
    for compression in "false", "true", "zstd":
        for encryption in "false", "true":
            config.write_text(CONFIG.format(bin=bin_dir, storage=directory, host=host, port=port, password=PASSWORD,
                                            compression=compression, encryption=encryption))
            config.chmod(0o600)
            subprocess.run([backupkit, "backup", "-c", config], check=True)
    config.unlink()
    for left in [directory / "app_db/.lock", *directory.glob("app_db/lease.*.json")]:
        left.unlink()

    (directory / "go_db").mkdir()
    dump = client("pg_dump", "--format=custom", "--compress=0", "app")
    (directory / f"go_db/{STAMP}.dump.gz.enc").write_bytes(bkenc001(gzip.compress(dump, mtime=0), PASSWORD))
    (directory / "sql").mkdir()
    script = client("pg_dump", "app")
    (directory / "sql/app.sql").write_bytes(script)
    (directory / "sql/app.sql.gz").write_bytes(gzip.compress(script, mtime=0))

    archives = sorted(path for path in directory.glob("*/*") if path.suffix not in (".sha256", ".json"))
    plain = {str(path.relative_to(directory)): hashlib.sha256(decoded(path)).hexdigest() for path in archives}
    (directory / "plain.json").write_text(json.dumps(plain, indent=2) + "\n")
    server.stdin.close()
    server.wait()


main(*sys.argv[1:])
