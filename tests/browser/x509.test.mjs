// webmls/x509 on a bare page in Chromium: identities with certificates, and
// the paths that lead to a root or do not. The authority is in the page.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { launch, Watched } from "./kit/browser.mjs";
import { serve } from "./kit/bare.mjs";
import { built, root } from "./kit/paths.mjs";

describe("webmls/x509", { timeout: 300_000 }, () => {
  let server, browser, context, watched;

  before(async () => {
    const certificates = readFileSync(join(root, "tests/browser/kit/certificates.mjs"), "utf8");
    server = await serve(built("js/dist"), { "certificates.js": certificates });
    browser = await launch();
  });

  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  beforeEach(async () => {
    context = await browser.createBrowserContext();
  });

  /** A test with a page of its own, on which `kit` is what the page needs. */
  const onPage = (name, body) =>
    test(name, async () => {
      watched = await Watched.open(context, "page");
      await watched.page.evaluateOnNewDocument(pageKit);
      await watched.page.goto(server.url);
      await watched.page.evaluate(() => kit.load());
      try {
        await body(watched.page);
        assert.deepEqual(watched.faults, []);
      } catch (error) {
        await watched.save(name);
        throw error;
      } finally {
        await context.close();
      }
    });

  for (const thread of ["worker", "current"]) {
    for (const suite of [1, 2]) {
      onPage(`suite ${suite}, thread "${thread}": who gets in, who does not, renewal, impersonation`, async (page) => {
        const result = await page.evaluate(async (options) => {
          const { suite } = options;
          const root = await kit.Authority.root("root", suite);
          const authority = await (await root.intermediate("first")).intermediate("second");
          const trust = await kit.x509Authenticator({ roots: [suite === 1 ? root.pem : root.certificate], thread: options.thread });
          const open = (database) => kit.MLS.open({ database, thread: options.thread, ...trust });
          const [alice, bob] = await Promise.all([open("alice"), open("bob")]);
          const out = {};

          const aliceID = await alice.createIdentity(kit.certified(authority, "alice@example.com"), { suite });
          out.identity = [aliceID.suite, aliceID.credential.type, aliceID.credential.certificates.length];
          const ours = await alice.createGroup(aliceID);
          const invite = async (credential) => ours.add(await bob.createKeyPackage(await bob.createIdentity(credential, { suite })));

          // Not these.
          const stranger = await kit.Authority.root("root", suite); // of the same name, with another key
          const bad = (authority, options) => kit.refusalOf(invite(kit.certified(authority, "bob@example.com", options)));
          out.stranger = await bad(stranger);
          out.strangersIntermediate = await bad(await stranger.intermediate("first"));
          out.expired = await bad(authority, { until: -1 });
          out.malformed = await kit.refusalOf(
            invite(async (key) => {
              const { certificates } = await kit.certified(authority, "bob@example.com")(key);
              return { type: "x509", certificates: [kit.withBadDate(certificates[0]), ...certificates.slice(1)] };
            }),
          );
          out.noIntermediate = await kit.refusalOf(
            invite(async (key) => {
              const { certificates } = await kit.certified(authority, "bob@example.com")(key);
              return { type: "x509", certificates: [certificates[0]] };
            }),
          );
          out.name = await kit.refusalOf(invite("bob@example.com"));
          out.unchanged = [String((await ours.info()).epoch), (await ours.info()).hasPendingCommit];

          // This one.
          const { welcome } = await invite(kit.certified(authority, "bob@example.com"));
          await ours.applyPendingCommit();
          const theirs = await bob.joinGroup(welcome);
          const hello = await theirs.receive(await ours.send("hello"));
          out.hello = [hello.text, kit.text(await trust.identify(hello.sender.credential))];

          // Bob's certificate is renewed, with another key.
          const renewed = await bob.createIdentity(kit.certified(root, "bob@example.com"), { suite });
          const renewal = await theirs.commit({ identity: renewed });
          out.renewal = (await ours.receive(renewal.commit)).type;
          await theirs.applyPendingCommit();
          const { credential } = (await ours.members()).find((member) => !member.own);
          out.renewed = [credential.certificates.length, kit.hex(credential.certificates[0]) === kit.hex(renewed.credential.certificates[0])];

          // Then he gives himself for Alice, with a certificate that the authority should not have issued.
          const mallory = await bob.createIdentity(kit.certified(root, "alice@example.com"), { suite });
          const takeover = await theirs.commit({ identity: mallory });
          out.impersonation = await kit.refusalOf(ours.receive(takeover.commit));
          await theirs.clearPendingCommit();
          out.still = [String((await ours.info()).epoch), (await theirs.receive(await ours.send("still here"))).text];

          // A group with a stranger in it is not joined.
          const strangers = await kit.x509Authenticator({ roots: [stranger.certificate, root.certificate], thread: options.thread });
          const eve = await kit.MLS.open({ database: "eve", thread: options.thread, ...strangers });
          const evesGroup = await eve.createGroup(await eve.createIdentity(kit.certified(stranger, "eve@example.com"), { suite }));
          const evesInvitation = await evesGroup.add(await bob.createKeyPackage(renewed));
          out.strangersGroup = await kit.refusalOf(bob.joinGroup(evesInvitation.welcome));
          return out;
        }, { suite, thread });
        assert.equal(page.workers().length, thread === "worker" ? 3 : 0); // the protocol, and two authenticators
        const refused = (pattern) => (text) => assert.match(text, new RegExp(`^RejectedError ${pattern.source}`));
        const expected = {
          identity: (value) => assert.deepEqual(value, [suite, "x509", 3]),
          stranger: refused(/CREDENTIAL_REJECTED .*unknown authority/),
          strangersIntermediate: refused(/CREDENTIAL_REJECTED .*unknown authority/),
          expired: refused(/CREDENTIAL_REJECTED .*expired/),
          malformed: refused(/CREDENTIAL_REJECTED .*certificate 0: x509: malformed UTCTime/),
          noIntermediate: refused(/CREDENTIAL_REJECTED .*unknown authority/),
          name: refused(/CREDENTIAL_REJECTED /),
          unchanged: (value) => assert.deepEqual(value, ["0", false]),
          hello: (value) => assert.deepEqual(value, ["hello", '"mail:alice@example.com"']),
          renewal: (value) => assert.equal(value, "group-update"),
          renewed: (value) => assert.deepEqual(value, [1, true]),
          impersonation: refused(/SUCCESSOR_REJECTED .*another client/),
          still: (value) => assert.deepEqual(value, ["2", "still here"]),
          strangersGroup: refused(/CREDENTIAL_REJECTED .*unknown authority/),
        };
        assert.deepEqual(Object.keys(result), Object.keys(expected));
        for (const [name, check] of Object.entries(expected)) check(result[name]);
      });

      onPage(`suite ${suite}, thread "${thread}": an identity is made with its key at hand, and not with another's`, async (page) => {
        const result = await page.evaluate(async (options) => {
          const { suite } = options;
          const mls = await kit.MLS.open({ database: "alice", authenticate: () => true, thread: options.thread });
          const root = await kit.Authority.root("root", suite);
          const out = {};
          let late;
          const identity = await mls.createIdentity(
            async (key) => {
              late = key.sign;
              out.key = [key.suite, key.publicKey.length];
              const request = await kit.request(key);
              out.proof = await kit.isProof(key, request);
              out.proofForOther = await kit.isProof(key, { ...request, toBeSigned: request.toBeSigned.with(-1, 1) });
              // The client is not held up, and the identity is not there yet.
              out.meanwhile = [(await mls.identities()).length, (await mls.createIdentity("meanwhile", { suite })).name];
              const label = new TextEncoder().encode("MLS 1.0 FramedContentTBS");
              out.protocol = await kit.codeOf(key.sign(new Uint8Array([label.length, ...label, 0])));
              return { type: "x509", certificates: await root.issue({ ...key, mail: "alice@example.com" }) };
            },
            { suite },
          );
          out.late = await kit.codeOf(late(new Uint8Array(1)));
          out.made = (await mls.identities()).some((one) => kit.hex(one.id) === kit.hex(identity.id));
          const before = (await mls.identities()).length;
          out.other = await kit.codeOf(mls.createIdentity(identity.credential, { suite }));
          out.otherIssued = await kit.codeOf(mls.createIdentity(() => identity.credential, { suite }));
          out.rubbish = await kit.codeOf(mls.createIdentity(() => undefined, { suite }));
          out.rubbishChain = await kit.codeOf(mls.createIdentity(() => ({ type: "x509", certificates: ["text"] }), { suite }));
          out.garbage = await kit.codeOf(mls.createIdentity(() => ({ type: "x509", certificates: [new Uint8Array(9)] }), { suite }));
          out.empty = await kit.codeOf(mls.createIdentity(() => ({ type: "x509", certificates: [] }), { suite }));
          out.throws = await kit.codeOf(
            mls.createIdentity(() => {
              throw new Error("the authority does not answer");
            }, { suite }),
          );
          out.none = (await mls.identities()).length - before;
          out.name = (await mls.createIdentity(() => "a name", { suite })).name;
          const never = mls.createIdentity(() => new Promise(() => mls.close()), { suite });
          out.closed = await kit.codeOf(never);
          return out;
        }, { suite, thread });
        assert.deepEqual(result, {
          key: [suite, suite === 1 ? 32 : 65],
          proof: true,
          proofForOther: false,
          meanwhile: [0, "meanwhile"],
          protocol: "StateError INVALID_ARGUMENT",
          late: "StateError INVALID_ARGUMENT",
          made: true,
          other: "RejectedError CREDENTIAL_REJECTED",
          otherIssued: "RejectedError CREDENTIAL_REJECTED",
          rubbish: "RejectedError CREDENTIAL_REJECTED",
          rubbishChain: "RejectedError CREDENTIAL_REJECTED",
          garbage: "RejectedError CREDENTIAL_REJECTED",
          empty: "RejectedError CREDENTIAL_REJECTED",
          throws: "StateError AUTHENTICATOR_FAILED",
          none: 0,
          name: "a name",
          closed: "StorageError CANCELLED",
        });
      });
    }
  }

  onPage("options: roots, key usages, other credentials", async (page) => {
    const result = await page.evaluate(async () => {
      const root = await kit.Authority.root("root", 1);
      const second = await kit.Authority.root("second", 2);
      const broken = root.pem.replace(/\n(.{9})/, "\n!!!$1");
      const failing = {};
      for (const [name, options] of Object.entries({
        none: {},
        noRoots: { roots: [] },
        number: { roots: [1] },
        garbage: { roots: [new Uint8Array([1, 2, 3])] },
        empty: { roots: [""] },
        truncated: { roots: [root.certificate.slice(0, -1)] },
        key: { roots: ["-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] },
        brokenSecond: { roots: [root.pem + broken] },
        usage: { roots: [root.pem], keyUsages: ["noSuchUsage"] },
        other: { roots: [root.pem], other: {} },
      })) {
        failing[name] = await kit.codeOf(kit.x509Authenticator(options));
      }
      failing.currentThread = await kit.codeOf(kit.x509Authenticator({ roots: [new Uint8Array([1, 2, 3])], thread: "current" }));
      const claim = async (issue, type = "x509") => ({ credential: { type, certificates: await issue }, place: "tree", leaf: 0 });
      const key = { suite: 1, publicKey: new Uint8Array(32).fill(9) };
      const asked = {};
      const both = await kit.x509Authenticator({ roots: [root.pem + second.pem] });
      asked.first = await both.authenticate(await claim(root.issue({ ...key, mail: "a@b" })));
      asked.second = await both.authenticate(await claim(second.issue({ ...key, mail: "a@b" })));
      const mail = await kit.x509Authenticator({ roots: [root.pem], keyUsages: ["clientAuth", "emailProtection"] });
      asked.usage = await mail.authenticate(await claim(root.issue({ ...key, mail: "a@b", usages: ["1.3.6.1.5.5.7.3.4"] })));
      asked.noUsage = await mail.authenticate(await claim(root.issue({ ...key, mail: "a@b" })));
      asked.wrongUsage = await kit.codeOf(mail.authenticate(await claim(root.issue({ ...key, mail: "a@b", usages: ["1.3.6.1.5.5.7.3.1"] }))));
      const chain = await root.issue({ ...key, mail: "a@b" });
      asked.noCertificate = await kit.codeOf(mail.authenticate(await claim([new Uint8Array([0x30, 0])])));
      asked.empty = await kit.codeOf(mail.authenticate(await claim([])));
      asked.tooMany = await kit.codeOf(mail.authenticate(await claim(new Array(11).fill(chain[0]))));
      asked.text = await kit.codeOf(mail.authenticate(await claim(["text"])));
      asked.identify = kit.text(await mail.identify({ type: "x509", certificates: chain }));
      asked.identifyGarbage = await kit.codeOf(mail.identify({ type: "x509", certificates: [new Uint8Array(5)] }));
      asked.identifyBasic = await kit.codeOf(mail.identify({ type: "basic", identity: new Uint8Array(5) }));
      const basic = (name) => ({ credential: { type: "basic", identity: new TextEncoder().encode(name) }, name });
      asked.basic = await mail.authenticate(basic("a"));
      asked.basicSucceeds = await mail.succeeds(basic("a"), basic("a"));
      const other = { authenticate: ({ name }) => name === "a", succeeds: (previous, next) => previous.name === next.name };
      const mixed = await kit.x509Authenticator({ roots: [root.pem], other });
      asked.mixed = [await mixed.authenticate(basic("a")), await mixed.authenticate(basic("b")), await mixed.authenticate(await claim(chain))];
      asked.mixedSucceeds = [
        await mixed.succeeds(basic("a"), basic("a")),
        await mixed.succeeds(basic("a"), basic("b")),
        await mixed.succeeds(basic("a"), await claim(chain)),
        await mixed.succeeds(await claim(chain), basic("a")),
        await mixed.succeeds(await claim(chain), await claim(root.issue({ ...key, mail: "a@b" }))),
        await kit.codeOf(mixed.succeeds(await claim(chain), await claim(root.issue({ ...key, mail: "c@b" })))),
      ];
      // Several at once: each has the answer that is its own.
      const many = await Promise.all(
        Array.from({ length: 40 }, async (_, i) => kit.codeOf(mixed.authenticate(await claim(i % 3 ? chain : [chain[0].slice(1)])))),
      );
      asked.many = many.every((code, i) => code === (i % 3 ? "nothing was refused" : "RejectedError CREDENTIAL_REJECTED"));
      mixed.close();
      asked.closed = await kit.codeOf(mixed.authenticate(await claim(chain)));
      return { failing, asked };
    });
    for (const [name, code] of Object.entries(result.failing)) assert.equal(code, "StateError INVALID_ARGUMENT", name);
    assert.equal(Object.keys(result.failing).length, 11);
    assert.deepEqual(result.asked, {
      first: true,
      second: true,
      usage: true,
      noUsage: true, // one that names no usage is for all (RFC 5280, Section 4.2.1.12)
      wrongUsage: "RejectedError CREDENTIAL_REJECTED",
      noCertificate: "RejectedError CREDENTIAL_REJECTED",
      empty: "RejectedError CREDENTIAL_REJECTED",
      tooMany: "RejectedError CREDENTIAL_REJECTED",
      text: "StateError INVALID_ARGUMENT",
      identify: '"mail:a@b"',
      identifyGarbage: "RejectedError CREDENTIAL_REJECTED",
      identifyBasic: "StateError INVALID_ARGUMENT",
      basic: false,
      basicSucceeds: false,
      mixed: [true, false, true],
      mixedSucceeds: [true, false, false, false, true, "RejectedError SUCCESSOR_REJECTED"],
      many: true,
      closed: "StateError CLOSED",
    });
  });

  onPage("a worker that dies refuses nobody for good: another takes its place", async (page) => {
    const worker = new Promise((resolve) => page.once("workercreated", resolve));
    await page.evaluate(async () => {
      kit.root = await kit.Authority.root("root", 1);
      kit.trust = await kit.x509Authenticator({ roots: [kit.root.certificate] });
      const certificates = await kit.root.issue({ suite: 1, publicKey: new Uint8Array(32), mail: "a@b" });
      kit.ask = () => kit.codeOf(kit.trust.authenticate({ credential: { type: "x509", certificates } }));
    });
    assert.equal(await page.evaluate(() => kit.ask()), "nothing was refused");
    const gone = new Promise((resolve) => page.once("workerdestroyed", resolve));
    await (await worker).evaluate(() => void setTimeout(() => { throw new Error("a fault"); }));
    await gone;
    assert.equal(await page.evaluate(() => kit.ask()), "nothing was refused");
    assert.equal(page.workers().length, 1);
  });

  onPage("a program that is not there is INSTANCE_FAILED", async (page) => {
    const code = (thread) => page.evaluate(async (thread) => {
      const { certificate } = await kit.Authority.root("root", 1);
      return kit.codeOf(kit.x509Authenticator({ roots: [certificate], thread, wasm: "/webmls/missing.wasm" }));
    }, thread);
    assert.equal(await code("worker"), "InternalError INSTANCE_FAILED");
    assert.equal(await code("current"), "InternalError INSTANCE_FAILED");
    const missing = watched.faults.splice(0); // the browser's own complaints
    assert.ok(missing.every((fault) => /404/.test(fault)), missing.join("\n"));
  });
});

/** What the tests use on the page. It is sent there as it stands. */
function pageKit() {
  globalThis.kit = {
    async load() {
      Object.assign(this, await import("/webmls/index.js"), await import("/webmls/x509.js"), await import("/scripts/certificates.js"));
    },
    /** What makes the credential of a key: an authority's chain for a mail address. */
    certified: (authority, mail, options) => async (key) => ({
      type: "x509",
      certificates: await authority.issue({ ...key, mail, ...options }),
    }),
    /** A certificate with a letter in its first date: package mls reads over it, crypto/x509 does not. */
    withBadDate: (certificate) => {
      const date = certificate.findIndex((byte, i) => byte === 0x17 && certificate[i + 1] === 13 && certificate[i + 14] === 0x5a);
      return certificate.with(date + 3, 0x58);
    },
    /** The class and code with which a promise is rejected. */
    codeOf: (promise) =>
      promise.then(
        () => "nothing was refused",
        (error) => (error instanceof kit.MLSError ? `${error.constructor.name} ${error.code}` : `${error}`),
      ),
    /** The same with the detail. */
    refusalOf: (promise) =>
      promise.then(
        () => "nothing was refused",
        (error) => (error instanceof kit.MLSError ? `${error.constructor.name} ${error.code} ${error.detail}` : `${error.stack}`),
      ),
    text: (bytes) => new TextDecoder().decode(bytes),
    hex: (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(""),
  };
}
