"""Opens an archive without BackupKit, by the words of backupkit-format(5). Needs: pip install 'cryptography>=44', for zstd 'zstandard' as well
    python3 decode.py app_db/20261120_020000.123456789Z.dump.gz.enc < password.txt > app.dump
The output is good only if the exit status is 0."""
import hashlib, hmac, itertools, struct, sys, zlib
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

def file_key(slots, subkey, password):
    for kind, body in slots:
        if kind == 1:
            m, t, p, salt, wrapped = struct.unpack(">III16s48s", body)
            derived = Argon2id(salt=salt, length=32, iterations=t, lanes=p, memory_cost=m).derive(password)
            try: return AESGCM(subkey(derived, b"passphrase")).decrypt(bytes(12), wrapped, None)
            except InvalidTag: pass
    sys.exit("wrong password")

def unseal(f, password):
    cipher, count, length, salt = struct.unpack(">8xBBH32s", f.read(44))
    label = f.read(length)
    slots = [(kind, f.read(size)) for kind, size in (struct.unpack(">BH", f.read(3)) for _ in range(count))]
    end = f.tell()
    f.seek(0)
    header = f.read(end + 16)
    if hashlib.sha256(header[:end]).digest()[:16] != header[end:] or cipher != 1: sys.exit("header damaged")
    subkey = lambda ikm, info: HKDF(SHA256(), 32, salt, b"backupkit/v2/" + info).derive(ikm)
    key = file_key(slots, subkey, password)
    if hmac.digest(subkey(key, b"header"), header, "sha256") != f.read(32): sys.exit("header damaged")
    print("label:", ascii(label.decode()), file=sys.stderr)
    payload, frame = AESGCM(subkey(key, b"payload")), f.read(65552)
    for index in itertools.count():
        following = f.read(65552)
        if index and len(frame) == 16: sys.exit("an empty last frame")
        yield payload.decrypt(struct.pack(">7xIB", index, not following), frame, None)
        if not (frame := following): return

def gunzip(pieces):
    member = zlib.decompressobj(31)
    for piece in pieces:
        while piece:
            if member.eof: member = zlib.decompressobj(31)
            yield member.decompress(piece)
            piece = member.unused_data
    if not member.eof: sys.exit("the gzip stream is cut short")

def unzstd(pieces):
    import zstandard
    frame, rest = zstandard.ZstdDecompressor(max_window_size=2**27).decompressobj(), b""
    for piece in pieces:
        rest += piece
        while rest:
            if frame.eof: frame = zstandard.ZstdDecompressor(max_window_size=2**27).decompressobj()
            yield frame.decompress(rest)
            rest = frame.unused_data
    if not frame.eof: sys.exit("the zstd stream is cut short")

f = open(sys.argv[1], "rb")
sealed = f.peek(8)[:8] == b"BKENC002"
if sys.argv[1].endswith(".enc") and not sealed: sys.exit("this is no BKENC002 container")
pieces = unseal(f, sys.stdin.buffer.read().removesuffix(b"\n")) if sealed else iter(lambda: f.read(65536), b"")
pieces = itertools.chain([first := next(pieces, b"")], pieces)
undo = gunzip if first[:2] == b"\x1f\x8b" else unzstd if first[:4] == b"\x28\xb5\x2f\xfd" else iter
for piece in undo(pieces): sys.stdout.buffer.write(piece)
