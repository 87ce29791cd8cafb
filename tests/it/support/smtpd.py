"""usage: smtpd.py JSON
A mail server for one test: aiosmtpd, or one that stops in the middle. Prints its port, then a line of JSON for each
mail that it takes and for each login that is tried. Ends with its standard input.

  tls      none, starttls or implicit (default none); needs certificate and key
  logins   the mechanisms on offer (default none); keeper may log in with the password "password"
  refuse   recipients that are not taken
  stall    greeting or data: nothing more is said from there on
"""
import asyncio, email, email.policy, json, logging, os, ssl, sys, warnings
from aiosmtpd.smtp import SMTP, AuthResult

# what a test provokes is nothing to shout about
logging.disable()
warnings.simplefilter("ignore")
asked = json.loads(sys.argv[1])
tls, logins = asked.get("tls", "none"), asked.get("logins", [])


def tell(**what):
    print(json.dumps(what), flush=True)


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in asked.get("refuse", []):
            return "550 5.1.1 there is nobody called " + address
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if asked.get("stall") == "data":
            await asyncio.sleep(3600)
        mail = email.message_from_bytes(envelope.original_content, policy=email.policy.default)
        tell(
            kind="mail",
            sender=envelope.mail_from,
            recipients=envelope.rcpt_tos,
            encrypted=session.ssl is not None or tls == "implicit",
            login=session.authenticated,
            headers=[[name, str(value)] for name, value in mail.items()],
            text=mail.get_content(),
            raw=envelope.original_content.decode("latin-1"),
        )
        return "250 taken"


def authenticator(server, session, envelope, mechanism, data):
    tell(kind="login", mechanism=mechanism)
    good = (data.login, data.password) == (b"keeper", asked.get("password", "").encode())
    # a careless server repeats what it was told
    return AuthResult(success=True) if good else AuthResult(
        success=False, handled=False, message="535 5.7.8 not with " + data.password.decode())


context = None
if tls != "none":
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(asked["certificate"], asked["key"])


def connection():
    return SMTP(
        Handler(),
        hostname="mail.example.com",
        tls_context=context if tls == "starttls" else None,
        authenticator=authenticator,
        auth_require_tls=tls == "starttls",
        auth_exclude_mechanism=[name for name in ("LOGIN", "PLAIN") if name not in logins],
        timeout=3600,
    )


async def stalled(reader, writer):
    await asyncio.sleep(3600)


async def main():
    loop = asyncio.get_running_loop()
    secure = context if tls == "implicit" else None
    if asked.get("stall") == "greeting":
        server = await asyncio.start_server(stalled, "127.0.0.1", 0, ssl=secure)
    else:
        server = await loop.create_server(connection, "127.0.0.1", 0, ssl=secure)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    # connections may be open still
    sys.stdout.flush()
    os._exit(0)


asyncio.run(main())
