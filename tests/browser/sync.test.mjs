// webmls/sync over a service that drops, reorders, duplicates, replays, forges,
// withholds, lies, and shows different members different logs. SYNC_SEED repeats a run.
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { brotliCompressSync } from "node:zlib";
import { launch, launchFirefox, Watched } from "./kit/browser.mjs";
import { serve } from "./kit/bare.mjs";
import { built, root } from "./kit/paths.mjs";

const seed = Number(process.env.SYNC_SEED ?? randomInt(2 ** 31));

/** Bytes of JavaScript, after brotli, that a page loads for "webmls/sync" beside "webmls": 8.5 kB. */
const budget = 8.5 * 1024;

describe("webmls/sync", { timeout: 170_000 }, () => {
  let server;
  const browsers = {};

  before(async () => {
    server = await serve(built("js/dist"), { "sync-world.js": readFileSync(join(root, "tests/browser/fixtures/sync-world.js"), "utf8") });
    browsers.Chromium = await launch();
    browsers.Firefox = await launchFirefox();
  });

  after(async () => {
    for (const browser of Object.values(browsers)) await browser.close();
    await server?.stop();
  });

  /** A test with so many tabs of one profile. */
  const onPages = (name, count, body, browserName = "Chromium") =>
    test(name, async (t) => {
      const context = await browsers[browserName].createBrowserContext();
      const tabs = [];
      t.diagnostic(`SYNC_SEED=${seed}`);
      try {
        for (let i = 0; i < count; i++) {
          const tab = await Watched.open(context, `tab ${i}`);
          await tab.page.goto(server.url);
          tabs.push(tab);
        }
        await body(...tabs.map(({ page }) => page), t);
        for (const tab of tabs) assert.deepEqual(tab.faults, []);
      } catch (error) {
        for (const tab of tabs) await tab.save(name);
        throw error;
      } finally {
        await context.close();
      }
    });

  onPages("twenty clients agree in the end, and what they were told holds, holds", 1, async (page, t) => {
    const result = await page.evaluate(async (seed) => {
      const { World, until, pause } = await import("/scripts/sync-world.js");
      const world = await World.open(seed, 20, 4);
      const { random, service, late } = world;
      service.malice = 1;
      const joining = late.map((person) => person.invited());
      const gone = world.members.slice(-2);
      const busy = world.members.slice(0, -2);
      const jobs = [];
      for (const person of late) {
        const keyPackage = await person.mls.createKeyPackage(person.identity);
        jobs.push([`add ${person.name}`, (sync) => sync.add(keyPackage, { to: person.name })]);
      }
      const members = await world.members[0].group.members();
      for (const { name } of gone) jobs.push([`remove ${name}`, (sync) => sync.remove(members.find((member) => member.name === name))]);
      for (let i = 0; i < 30; i++) jobs.push([`word w${i}`, (sync) => sync.want({ kind: "custom", name: "word", data: `w${i}` })]);
      for (let i = 0; i < 10; i++) jobs.push(["update", (sync) => sync.update()]);
      const said = [];
      for (const [what, keep] of random.shuffled(jobs)) {
        await random.pick(busy).wants(what, keep);
        const speaker = random.pick(busy);
        said.push(`${speaker.name} ${said.length}`);
        void speaker.sync.send(said.at(-1)).catch(() => {});
        await pause(random() * 120);
      }
      await pause(1_500);
      service.malice = 0; // nobody can do without a service for ever
      const all = [...busy, ...late];
      const kept = () => all.flatMap((person) => person.kept);
      const state = async () => JSON.stringify({
        kept: kept().filter(({ state }) => state !== "held"),
        stands: await Promise.all(world.people.filter(({ group }) => group).map(async (person) => `${person.name} ${person.sync.status} ${await person.stand()}`)),
        branch: String(service.branches[0].epoch),
        trouble: all.flatMap((p) => p.has("trouble").slice(-1).map((e) => `${p.name} ${e.failure.code} ${e.failure.message}`)).slice(0, 6),
      });
      try {
        await until("all intents are settled", () => kept().every(({ state }) => state !== "kept"), 25_000);
        await Promise.all(joining);
        for (const person of all) await (await person.sync.send(`closing ${person.name}`)).done;
        await until("all are in one epoch", async () => new Set(await Promise.all(all.map((person) => person.stand()))).size === 1, 15_000);
      } catch (error) {
        throw new Error(`${error.message}: ${await state()}`);
      }
      const words = await all[0].words();
      const names = (await all[0].group.members()).map(({ name }) => name).sort();
      const forks = world.people.flatMap((person) => person.has("fork").map(({ evidence }) => evidence));
      const double = all.flatMap(({ name, delivered }) => delivered.filter((text, i) => delivered.indexOf(text) !== i).map((text) => `${name}: ${text}`));
      const foreign = all.flatMap(({ delivered }) => delivered.filter((text) => !said.includes(text) && !text.startsWith("closing ")));
      const waiting = (await Promise.all(all.map((person) => person.sync.intents()))).flat().length;
      const delivered = all.reduce((n, person) => n + person.delivered.length, 0);
      const result = {
        kept: kept(), words, names, forks, double, foreign, waiting, delivered,
        removed: gone.map((person) => person.sync.status),
        expected: all.map(({ name }) => name).sort(),
        epoch: Number(all[0].group.epoch),
        wrongs: service.wrongs,
      };
      await world.close();
      return result;
    }, seed);
    t.diagnostic(`${result.epoch} epochs, ${result.delivered} messages delivered, wrongs: ${JSON.stringify(result.wrongs)}`);
    assert.deepEqual(result.kept.filter(({ state }) => state !== "held"), []);
    assert.deepEqual([...result.words].sort(), Array.from({ length: 30 }, (_, i) => `w${i}`).sort());
    assert.deepEqual(result.names, result.expected);
    assert.deepEqual(result.double, []);
    assert.deepEqual(result.foreign, []);
    assert.equal(result.waiting, 0);
    for (const wrong of ["request dropped", "answer dropped", "withheld", "reordered", "duplicated", "replayed", "forged"]) assert.ok(result.wrongs[wrong] > 0, wrong);
    // What was forged may raise a false alarm, and only that.
    assert.ok(result.forks.every((evidence) => evidence === "message"), result.forks.join());
  });

  onPages("a service that shows two logs parts the group, which is found and healed", 1, async (page, t) => {
    const result = await page.evaluate(async (seed) => {
      const { World, until, pause } = await import("/scripts/sync-world.js");
      const world = await World.open(seed, 8, 2);
      const { random, service, people, members, late } = world;
      const [a, b] = [members.slice(0, 3), members.slice(3)];
      const word = (person, data) => person.wants(data, (sync) => sync.want({ kind: "custom", name: "word", data }));
      await word(a[0], "before");
      await until("all have the first word", async () => (await Promise.all(members.map((p) => p.words()))).every((w) => w.includes("before")));
      service.part(b.map(({ name }) => name));
      const stranger = late[0];
      await word(a[0], "ours");
      await word(b[0], "theirs");
      await b[1].wants("add", async (sync) => sync.add(await stranger.mls.createKeyPackage(stranger.identity), { to: stranger.name }));
      await until("each side holds its own", () => [a[0], b[0], b[1]].every(({ kept }) => kept.every(({ state }) => state === "held")));
      const apart = await Promise.all([a[0].stand(), b[0].stand()]);
      const silent = people.every((person) => person.has("fork").length === 0); // they hear nothing of each other yet
      // Out of band, they find it.
      const [statement, mate] = [await a[0].sync.statement(), await b[1].sync.statement()];
      const compared = [await b[0].sync.compare(statement), await b[0].sync.compare(mate), await b[0].sync.compare(new Uint8Array(9))];
      await until("it is reported", () => b[0].has("fork").length === 1);
      // In band: a message of the other side comes into the log.
      await (await a[1].sync.send("hello")).done;
      const foreign = service.branches[0].log.at(-1);
      service.branches[1].log.push(foreign);
      for (const { sync } of b) sync.refresh();
      await until("the others of that side see it", () => b.every((person) => person.has("fork").length > 0));
      const status = b[0].sync.status;
      // They agree to go on with the first log.
      for (const person of b) service.branchOf.set(person.name, 0);
      const groupInfo = () => a[0].group.groupInfo();
      await Promise.all(b.map((person) => person.sync.rejoin({ mls: person.mls, identity: person.identity, groupInfo })));
      await until("what was lost is made again", async () => {
        const words = await a[0].words();
        return words.includes("theirs") && (await a[0].group.members()).some(({ name }) => name === stranger.name);
      });
      await (await b[0].sync.send("back")).done;
      await until("all are in one epoch", async () => new Set(await Promise.all(members.map((person) => person.stand()))).size === 1);
      await until("the message is heard", () => a[0].delivered.includes("back"));
      const result = {
        apart, silent, compared, status,
        forks: [b[0].has("fork")[0], b[1].has("fork")[0]].map(({ epoch, common, evidence }) => ({ epoch: Number(epoch), common: Number(common), evidence })),
        words: (await b[1].words()).sort(),
        healed: b.map((person) => person.has("healed").length),
        revived: b.flatMap((person) => person.has("intent").filter(({ state }) => state === "revived").map(({ intent }) => intent.kind)).sort(),
        compare: await b[0].sync.compare(await a[0].sync.statement()),
        names: (await a[0].group.members()).map(({ name }) => name).sort(),
        statuses: members.map(({ sync }) => sync.status),
      };
      await world.close();
      return result;
    }, seed);
    assert.notEqual(result.apart[0], result.apart[1]);
    assert.equal(result.silent, true);
    assert.deepEqual(result.compared, ["forked", "same", "unknown"]);
    assert.equal(result.status, "forked");
    assert.deepEqual(result.forks, [
      { epoch: 3, common: 2, evidence: "statement" },
      { epoch: 3, common: 2, evidence: "message" },
    ]);
    assert.deepEqual(result.words, ["before", "ours", "theirs"]);
    assert.deepEqual(result.healed, [1, 1, 1]);
    assert.deepEqual(result.revived, ["add", "custom"]);
    assert.equal(result.compare, "same");
    assert.deepEqual(result.names, ["p0", "p1", "p2", "p3", "p4", "p5", "p6"]);
    t.diagnostic(result.statuses.join(" "));
  });

  onPages("twenty clients that are shown three logs do not part in silence, and lose nothing when they come together", 1, async (page, t) => {
    const result = await page.evaluate(async (seed) => {
      const { World, until, pause } = await import("/scripts/sync-world.js");
      const world = await World.open(seed, 20);
      const { random, service, people } = world;
      service.malice = 0.5;
      const words = [];
      const busy = async (rounds) => {
        for (let i = 0; i < rounds; i++) {
          const person = random.pick(people);
          words.push(`w${words.length}`);
          const data = words.at(-1);
          await person.wants(data, (sync) => sync.want({ kind: "custom", name: "word", data }));
          void random.pick(people).sync.send(`about ${data}`).catch(() => {});
          await pause(random() * 100);
        }
      };
      const kept = () => people.flatMap((person) => person.kept);
      const settled = () => until("all intents are settled", () => kept().every(({ state }) => state !== "kept"), 25_000);
      await busy(4);
      const sides = [people.slice(0, 8), people.slice(8, 14), people.slice(14)];
      for (const side of sides.slice(1)) service.part(side.map(({ name }) => name));
      for (const side of sides) await side[0].wants("here", (sync) => sync.update());
      await busy(10);
      service.malice = 0;
      await settled();
      for (const person of people) await (await person.sync.send("calm")).done;
      const sideStands = () => Promise.all(sides.map(async (side) => new Set(await Promise.all(side.map((person) => person.stand())))));
      await until("each side is of one mind", async () => (await sideStands()).every((stands) => stands.size === 1), 15_000);
      const stands = await Promise.all(people.map((person) => person.stand()));
      // Everybody compares with everybody: who says "same" is.
      const statements = await Promise.all(people.map(({ sync }) => sync.statement()));
      const silent = [];
      for (const [i, person] of people.entries()) {
        for (const [k, statement] of statements.entries()) {
          const answer = await person.sync.compare(statement);
          if (answer !== (stands[i] === stands[k] ? "same" : "forked")) silent.push(`${i} ${k} ${answer}`);
        }
      }
      // They come together on the first log.
      const strays = people.slice(8);
      for (const { name } of strays) service.branchOf.delete(name);
      const groupInfo = () => people[0].group.groupInfo();
      await Promise.all(strays.map((person) => person.sync.rejoin({ mls: person.mls, identity: person.identity, groupInfo })));
      for (const person of people) await (await person.sync.send("together")).done;
      try {
        await until("all that was wanted holds", async () => {
          const lists = await Promise.all(people.map((person) => person.words()));
          return lists.every((list) => words.every((w) => list.includes(w)));
        }, 25_000);
        await until("all are in one epoch", async () => new Set(await Promise.all(people.map((person) => person.stand()))).size === 1, 15_000);
      } catch (error) {
        throw new Error(`${error.message}: ${JSON.stringify(await Promise.all(people.map(async (person) => `${person.name} ${person.sync.status} ${await person.stand()} ${(await person.words()).length}`)))}`);
      }
      const result = {
        silent,
        minds: new Set(stands).size,
        failed: kept().filter(({ state }) => state !== "held"),
        forked: people.filter((person) => person.has("fork").length === 0).length,
        healed: strays.filter((person) => person.has("healed").length > 0).length,
        members: (await people[0].group.members()).length,
        epoch: Number(people[0].group.epoch),
        wrongs: service.wrongs,
      };
      await world.close();
      return result;
    }, seed);
    t.diagnostic(`${result.epoch} epochs, wrongs: ${JSON.stringify(result.wrongs)}`);
    assert.deepEqual(result.silent, []);
    assert.equal(result.minds, 3);
    assert.deepEqual(result.failed, []);
    assert.equal(result.forked, 0, "all have reported it");
    assert.equal(result.healed, 12);
    assert.equal(result.members, 20);
  });

  onPages("who hears of several commits at once knows a fork by each of them", 1, async (page) => {
    const result = await page.evaluate(async (seed) => {
      const { World, until } = await import("/scripts/sync-world.js");
      const world = await World.open(seed, 3, 0);
      const { service } = world;
      const [alice, bob, carol] = world.people;
      const epoch = alice.group.epoch;
      service.part(["p1", "p2"]);
      service.frozen.add("p1");
      await (await alice.sync.update()).done;
      for (let i = 0; i < 3; i++) await (await carol.sync.update()).done;
      service.frozen.clear();
      bob.sync.refresh();
      await until("bob has all three", () => bob.group.epoch === epoch + 3n && bob.sync.status === "live");
      const [says, hears] = [await alice.sync.compare(await bob.sync.statement()), await bob.sync.compare(await alice.sync.statement())];
      const result = { says, hears, with: await bob.sync.compare(await carol.sync.statement()), at: bob.has("fork").map((fork) => Number(fork.epoch - epoch)) };
      await world.close();
      return result;
    }, seed);
    assert.deepEqual(result, { says: "forked", hears: "forked", with: "same", at: [1] });
  });

  onPages("what comes too early waits within bounds, and nothing of it is lost", 1, async (page) => {
    const result = await page.evaluate(async (seed) => {
      const { World, until } = await import("/scripts/sync-world.js");
      const world = await World.open(seed, 3, 0, { maxAhead: 2 });
      const { service } = world;
      const [alice, bob, carol] = world.people;
      // Bob is not shown a commit.
      service.hidden.add("p1/0:1");
      // He hears of all that follows at once: what he says to be missing is said once, of as many as he holds then.
      service.frozen.add("p1");
      await (await alice.sync.update()).done;
      const said = Array.from({ length: 6 }, (_, i) => `early ${i}`);
      for (const text of said) await (await alice.sync.send(text)).done;
      service.frozen.clear();
      await until("bob misses it", () => bob.sync.status === "behind" && bob.has("missing").length > 0);
      const { failure, waiting } = bob.has("missing")[0];
      const heard = bob.delivered.length;
      service.hidden.clear();
      await until("bob has it all", () => bob.delivered.length === said.length);
      // Carol leaves, and bob is not shown the proposal that the commit refers to.
      const at = service.branches[0].log.length + 1;
      service.hidden.add(`p1/0:${at}`);
      await (await carol.sync.leave()).done;
      await until("bob misses that", () => bob.has("missing").some(({ failure }) => failure.code === "PROPOSAL_UNKNOWN"));
      service.hidden.clear();
      await until("carol is gone for bob, too", async () => (await bob.group.members()).length === 2);
      await until("bob is live", () => bob.sync.status === "live");
      const result = { code: failure.code, waiting, heard, delivered: bob.delivered.sort(), same: (await alice.stand()) === (await bob.stand()) };
      await world.close();
      return result;
    }, seed);
    const said = Array.from({ length: 6 }, (_, i) => `early ${i}`);
    assert.deepEqual(result, { code: "EPOCH_AHEAD", waiting: 2, heard: 0, delivered: said, same: true });
  });

  onPages("a service that has lost a proposal is given it again, and one that refuses is believed", 1, async (page) => {
    const result = await page.evaluate(async (seed) => {
      const { World, until } = await import("/scripts/sync-world.js");
      const world = await World.open(seed, 3, 0);
      const { service } = world;
      const [alice, bob, carol] = world.people;
      const take = service.take.bind(service);
      let lost = 0;
      let again = 0;
      service.take = (name, publication) => {
        if (publication.kind === "proposal" && lost > 0) again++;
        if (publication.kind === "commit" && service.branches[0].log.some((entry) => proposals.has(entry)) && lost++ === 0) return { result: "missing-proposal" };
        const answer = take(name, publication);
        if (publication.kind === "proposal") proposals.add(service.branches[0].log.at(-1));
        return answer;
      };
      const proposals = new Set();
      await (await carol.sync.leave()).done;
      service.take = take;
      service.take = (name, publication) => (publication.kind === "commit" ? { result: "refused", reason: "the group is full" } : take(name, publication));
      const refused = await (await alice.sync.update()).done.then(() => "held", (error) => `${error.code} ${error.message}`);
      service.take = take;
      await (await bob.sync.update()).done;
      await until("all is well", async () => (await alice.stand()) === (await bob.stand()));
      const result = { lost: lost > 1, again: again > 0, refused, pending: (await alice.group.info()).hasPendingCommit };
      await world.close();
      return result;
    }, seed);
    assert.deepEqual(result, { lost: true, again: true, refused: "REFUSED REFUSED: the group is full", pending: false });
  });

  onPages("a stranger who proposes itself is not let in, and holds up nobody", 1, async (page) => {
    const result = await page.evaluate(async (seed) => {
      const { World, Person, until, pause } = await import("/scripts/sync-world.js");
      const world = await World.open(seed, 3, 0);
      const { service, people } = world;
      const [alice, bob] = people;
      const mallory = await new Person(world, "mallory").open();
      const welcomes = [];
      const take = service.take.bind(service);
      service.take = (name, publication) => {
        if (publication.welcome) welcomes.push(publication);
        return take(name, publication);
      };
      const seen = new Set();
      for (const { name, group } of people) group.on("proposal", () => seen.add(name));
      // The service itself can: all it needs is the group's id and its epoch, which it sees.
      service.branches[0].log.push(await mallory.mls.proposeToJoin(await alice.group.groupInfo(), await mallory.mls.createKeyPackage(mallory.identity)));
      for (const { sync } of people) sync.refresh();
      await until("all have it", () => seen.size === 3);
      await pause(500); // more than anybody waits before committing what was proposed
      const epoch = Number(alice.group.epoch);
      await (await alice.sync.send("undisturbed")).done;
      await (await bob.sync.update()).done;
      const result = { epoch, after: Number(bob.group.epoch), welcomes: welcomes.length, names: (await bob.group.members()).map(({ name }) => name) };
      await world.close();
      await mallory.mls.close();
      return result;
    }, seed);
    assert.deepEqual(result, { epoch: 1, after: 2, welcomes: 0, names: ["p0", "p1", "p2"] });
  });

  onPages("a service that calls all data stale is asked with patience, and nothing is sealed twice", 1, async (page) => {
    const result = await page.evaluate(async (seed) => {
      const { World, until, pause } = await import("/scripts/sync-world.js");
      const world = await World.open(seed, 2, 0);
      const { service } = world;
      const [alice, bob] = world.people;
      const take = service.take.bind(service);
      let asked = 0;
      let lies = true;
      service.take = (name, publication) => {
        if (publication.kind !== "application" || !lies) return take(name, publication);
        asked++;
        return { result: "stale" };
      };
      let sealed = 0;
      const seal = alice.group.send.bind(alice.group);
      alice.group.send = (...args) => (sealed++, seal(...args));
      const kept = await alice.sync.send("once");
      await pause(1_500);
      lies = false;
      await kept.done;
      // Of an epoch that has passed, it is sealed again, once.
      service.take = (name, publication) => (publication.kind === "application" && name === "p0" && sealed === 2 ? { result: "stale" } : take(name, publication));
      const later = await alice.sync.send("of another epoch");
      await (await bob.sync.update()).done;
      await later.done;
      await until("bob has both", () => bob.delivered.length === 2);
      const result = { asked, sealed, delivered: bob.delivered };
      await world.close();
      return result;
    }, seed);
    assert.ok(result.asked > 1 && result.asked < 30, `asked ${result.asked} times in 1.5 s, with 20 to 300 ms in between`);
    assert.equal(result.sealed, 3);
    assert.deepEqual(result.delivered, ["once", "of another epoch"]);
  });

  onPages("what is withdrawn while the log is read is not carried out", 1, async (page) => {
    const result = await page.evaluate(async (seed) => {
      const { World, pause } = await import("/scripts/sync-world.js");
      const world = await World.open(seed, 2, 0);
      const { service } = world;
      const [alice, bob] = world.people;
      const transport = service.transport.bind(service);
      let gate;
      service.transport = (name) => {
        const honest = transport(name);
        return { ...honest, fetch: async (...args) => (await gate, honest.fetch(...args)) };
      };
      const options = { since: service.cursor("p0", service.branches[0].log.length), poll: 60_000, timeout: 20_000 };
      await alice.sync.stop();
      await alice.live(alice.group, options);
      await pause(200);
      let open;
      gate = new Promise((resolve) => (open = resolve));
      const bobIs = (await alice.group.members()).find(({ name }) => name === "p1");
      const kept = await alice.sync.remove(bobIs);
      await pause(100); // it reads the log now
      await alice.sync.withdraw(kept.id);
      const end = await kept.done.then(() => "held", (error) => error.code);
      open();
      await pause(500);
      const names = (await alice.group.members()).map(({ name }) => name);
      // So is one that comes while its commit is made.
      const commit = alice.group.commit.bind(alice.group);
      let withdrawing;
      alice.group.commit = async (...args) => {
        withdrawing ??= alice.sync.withdraw(second.id).then(() => "withdrawn", (error) => error.code);
        await withdrawing;
        return commit(...args);
      };
      const second = await alice.sync.remove(bobIs);
      const state = await second.done.then(() => "held", (error) => error.code);
      const result = { end, names, state, withdrawing: await withdrawing, status: bob.sync.status };
      await world.close();
      return result;
    }, seed);
    assert.deepEqual(result.names, ["p0", "p1"], "the withdrawn removal was carried out");
    assert.equal(result.end, "WITHDRAWN");
    assert.deepEqual([result.state, result.withdrawing], ["held", "PUBLISHED"]);
  });

  onPages("a clock that is set back holds up no commit, and does not keep old keys for ever", 1, async (page) => {
    const result = await page.evaluate(async (seed) => {
      const { World, until } = await import("/scripts/sync-world.js");
      const world = await World.open(seed, 2, 0);
      const { service } = world;
      const [alice, bob] = world.people;
      const clock = Date.now;
      let ahead = 30 * 86_400_000;
      Date.now = () => clock() + ahead;
      const take = service.take.bind(service);
      let refused = 0;
      service.take = (name, publication) => {
        if (ahead === 0 || name !== "p0") return take(name, publication);
        refused++;
        return { result: publication.kind === "commit" ? "stale" : "accepted" };
      };
      const since = () => ({ since: service.cursor("p1", service.branches[0].log.length) });
      await bob.sync.stop();
      await bob.live(bob.group, { ...since(), updateAfter: { days: 20 } });
      const kept = [await alice.sync.update(), await alice.sync.send("late")];
      await until("both were put off", () => refused > 3);
      const key = async () => String((await alice.group.member((await alice.group.members()).find(({ name }) => name === "p1"))).encryptionKey);
      const first = await key();
      ahead = 0;
      let settled = 0;
      for (const { done } of kept) done.then(() => settled++);
      await until("both are made up for", () => settled === 2, 10_000);
      await until("bob's keys, which seem to be of the future, are renewed", async () => (await key()) !== first, 10_000);
      Date.now = clock;
      await world.close();
      return true;
    }, seed);
    assert.equal(result, true);
  });

  onPages("a fork is known after a reload, until one stays; no number of false alarms hides a real one", 1, async (page) => {
    const first = await page.evaluate(async (seed) => {
      const { World, Person, until, pause } = await import("/scripts/sync-world.js");
      const world = await World.open(seed, 2, 0);
      const alice = await new Person(world, "alice").open("forked");
      world.service.branches[0].log.length = 0;
      await alice.live(await alice.mls.createGroup(alice.identity), { database: "forked" });
      await (await alice.sync.send("something to forge")).done;
      const { log } = world.service.branches[0];
      const real = log.at(-1);
      const mark = 5 + real[4] + 8 + 1 + 1 + 13; // behind the head of the message, and that of the marks
      for (let i = 1; i < 80; i++) {
        const forged = new Uint8Array(real);
        forged[mark] ^= i;
        forged[mark + 8 + 1] ^= 1; // the encrypted sender
        log.push(forged);
      }
      alice.sync.refresh();
      await until("it was alarmed", () => alice.has("fork").length > 0);
      await until("all were read", () => alice.has("refused").length >= 79);
      const alarms = alice.has("fork").length;
      alice.sync.stay();
      alice.sync.refresh();
      await until("the alarm is over", () => alice.sync.status === "live");
      const statement = await alice.sync.statement();
      statement[13] ^= 0x80;
      const compared = await alice.sync.compare(statement);
      await until("it is reported", () => alice.sync.status === "forked");
      const last = alice.has("fork").at(-1);
      await pause(500);
      await alice.sync.stop();
      return { id: [...alice.group.id], alarms, compared, evidence: last.evidence };
    }, seed);
    assert.deepEqual({ ...first, id: [] }, { id: [], alarms: 64, compared: "forked", evidence: "statement" });
    await page.reload();
    const second = await page.evaluate(async ({ id }) => {
      const { Person, Service, chance, until } = await import("/scripts/sync-world.js");
      const alice = await new Person({ service: new Service(chance(1)) }, "alice").open("forked");
      const group = await alice.mls.group(new Uint8Array(id));
      await alice.live(group, { database: "forked" });
      await until("it runs", () => !["starting", "following"].includes(alice.sync.status));
      await until("the round is over", () => ["forked", "live"].includes(alice.sync.status));
      const [status, told] = [alice.sync.status, alice.has("fork").map(({ evidence }) => evidence)];
      alice.sync.stay();
      await until("it is live", () => alice.sync.status === "live");
      await alice.sync.stop();
      await alice.live(group, { database: "forked" });
      await until("it runs again", () => alice.sync.status === "live");
      await alice.sync.stop();
      await alice.mls.close();
      return { status, told, after: alice.has("fork").length };
    }, first);
    assert.deepEqual(second, { status: "forked", told: ["statement"], after: 1 });
  });

  onPages("who comes back from a fork seals anew what was not published", 1, async (page) => {
    const result = await page.evaluate(async (seed) => {
      const { World, until } = await import("/scripts/sync-world.js");
      const world = await World.open(seed, 3, 0);
      const { service } = world;
      const [alice, bob, carol] = world.people;
      service.part(["p2"]);
      await (await alice.sync.update()).done;
      await (await carol.sync.update()).done;
      const take = service.take.bind(service);
      let offline = true;
      service.take = (name, publication) => {
        if (offline && publication.kind === "application") throw new Error("the connection was lost");
        return take(name, publication);
      };
      const kept = await carol.sync.send("not forgotten");
      service.branchOf.set("p2", 0);
      const groupInfo = () => alice.group.groupInfo();
      const rejoined = carol.sync.rejoin({ mls: carol.mls, identity: carol.identity, groupInfo });
      offline = false;
      await rejoined;
      await kept.done;
      await until("the others can read it", () => [alice, bob].every(({ delivered }) => delivered.includes("not forgotten")), 5_000);
      const result = { refused: [...alice.has("refused"), ...bob.has("refused")].length, sent: carol.has("sent").map(({ state }) => state) };
      await world.close();
      return result;
    }, seed);
    assert.deepEqual(result, { refused: 0, sent: ["sent"] });
  });

  onPages("large messages are received a few at once, and a source that says nothing holds up no end", 1, async (page) => {
    const result = await page.evaluate(async (seed) => {
      const { World, until, pause } = await import("/scripts/sync-world.js");
      const world = await World.open(seed, 2, 0);
      const { service } = world;
      const [alice, bob] = world.people;
      let most = 0;
      let count = 0;
      const receive = bob.group.receiveAll.bind(bob.group);
      bob.group.receiveAll = (messages) => {
        most = Math.max(most, messages.reduce((n, { length }) => n + length, 0));
        count = Math.max(count, messages.length);
        return receive(messages);
      };
      for (let i = 0; i < 24; i++) service.branches[0].log.push(new Uint8Array(1 << 20));
      for (let i = 0; i < 600; i++) service.branches[0].log.push(new Uint8Array(8));
      await (await alice.sync.send("behind it")).done;
      bob.sync.refresh();
      await until("bob has it", () => bob.delivered.length === 1);
      // Whoever is asked for a GroupInfo may never answer.
      const rejoined = bob.sync.rejoin({ mls: bob.mls, identity: bob.identity, groupInfo: () => new Promise(() => {}) }).catch(({ code }) => code);
      await pause(100);
      const stopped = await Promise.race([bob.sync.stop().then(() => "stopped"), pause(5_000)]);
      // A transport may fail without a word, or say a word of which a client has another idea.
      service.transport("p0");
      const transport = service.transport.bind(service);
      let dumb = 1;
      service.transport = (name) => ({ ...transport(name), fetch: (...args) => (dumb ? Promise.reject(dumb++ % 2 ? undefined : Object.assign(new Error("gone"), { code: "CLOSED" })) : transport(name).fetch(...args)) });
      await alice.sync.stop();
      await alice.live(alice.group, { since: service.cursor("p0", service.branches[0].log.length) });
      await until("it is told", () => alice.has("trouble").length > 2, 5_000);
      dumb = 0;
      await (await alice.sync.update()).done;
      const result = { most, count, stopped, rejoined: await rejoined };
      await world.close();
      return result;
    }, seed);
    assert.ok(result.most <= 6 << 20, `${result.most} bytes at once`);
    assert.ok(result.count > 100 && result.count <= 256, `${result.count} messages at once`);
    assert.deepEqual([result.stopped, result.rejoined], ["stopped", "STOPPED"]);
  });

  onPages("a state that was restored can leave, and a group that is continued elsewhere is left in peace", 1, async (page) => {
    const result = await page.evaluate(async (seed) => {
      const { World, until } = await import("/scripts/sync-world.js");
      const end = { holds: async (group) => (await group.info()).status === "read-only", contents: () => ({ reInit: {} }) };
      const world = await World.open(seed, 3, 0, { intents: { end } });
      const { service } = world;
      const [alice, bob, carol] = world.people;
      // As MLS says it of a state that was restored: nothing but a commit is made before fresh keys.
      let restored = true;
      const [info, leave] = [carol.group.info.bind(carol.group), carol.group.leave.bind(carol.group)];
      carol.group.info = async () => ({ ...(await info()), rolledBack: restored });
      carol.group.leave = async (...args) => {
        if (restored) throw Object.assign(new Error("commit first"), { code: "STATE_ROLLED_BACK" });
        return leave(...args);
      };
      carol.group.on("group-update", ({ own }) => (restored &&= !own));
      await (await carol.sync.leave()).done;
      // Bob's message waits; the group ends before it is published.
      const take = service.take.bind(service);
      service.take = (name, publication) => {
        if (name === "p1" && publication.kind === "application") {
          if (Number(bob.group.epoch) === epoch) throw new Error("the connection was lost");
          return { result: "stale" };
        }
        return take(name, publication);
      };
      const epoch = Number(bob.group.epoch);
      const late = await bob.sync.send("too late");
      await (await alice.sync.want({ kind: "custom", name: "end" })).done;
      const code = await late.done.then(() => "sent", (error) => error.code);
      await until("all is quiet", () => alice.sync.status === "live" && bob.sync.status === "live", 5_000);
      const result = { code, carol: carol.sync.status, status: (await bob.group.info()).status };
      await world.close();
      return result;
    }, seed);
    assert.deepEqual(result, { code: "EXPIRED", carol: "removed", status: "read-only" });
  });

  onPages("policies renew keys and remove whose lifetime ran out; who leaves is let go", 1, async (page) => {
    const result = await page.evaluate(async (seed) => {
      const { World, Person, until, pause } = await import("/scripts/sync-world.js");
      const world = await World.open(seed, 3, 0);
      const [alice, bob, carol] = world.people;
      // Dave's leaf ends at once; he never says a word.
      const dave = await new Person(world, "dave").open();
      const keyPackage = await dave.mls.createKeyPackage(dave.identity, { lifetime: 1 });
      await (await alice.sync.add(keyPackage)).done;
      await pause(1_200);
      await alice.sync.stop();
      await alice.live(alice.group, { since: world.service.cursor("p0", world.service.branches[0].log.length), removeExpiredAfter: 0 });
      await until("dave is gone", async () => !(await bob.group.members()).some(({ name }) => name === "dave"));
      // Bob renews his keys every two epochs.
      const key = async () => (await alice.group.members()).find(({ name }) => name === "p1").leaf;
      const before = String((await alice.group.member(await key())).encryptionKey);
      await bob.sync.stop();
      await bob.live(bob.group, { since: world.service.cursor("p1", world.service.branches[0].log.length), updateAfter: { epochs: 2 } });
      for (let i = 0; i < 2; i++) await (await alice.sync.update()).done;
      await until("bob's key is another", async () => String((await alice.group.member(await key())).encryptionKey) !== before);
      // Carol renews hers when they are old, though nothing else happens; and not before.
      const carolsKey = async () => String((await alice.group.member((await alice.group.members()).find(({ name }) => name === "p2"))).encryptionKey);
      const first = await carolsKey();
      // She may be stopped before she has heard of her own commit: she reads again from the beginning.
      const since = world.service.cursor("p2", 0);
      await carol.sync.stop();
      await carol.live(carol.group, { since, updateAfter: { days: 1 } });
      await pause(1_000);
      const early = (await carolsKey()) !== first;
      await carol.sync.stop();
      await carol.live(carol.group, { since, updateAfter: { days: 1 / 86_400 } });
      await until("carol's key is another", async () => (await carolsKey()) !== first);
      const second = await carolsKey();
      await until("that has become old, too", async () => (await carolsKey()) !== second);
      await carol.sync.stop();
      await carol.live(carol.group, { since });
      // Carol leaves.
      await (await carol.sync.leave()).done;
      let names;
      await until("alice has it, whoever let carol out", async () => (names = (await alice.group.members()).map(({ name }) => name)).length === 2);
      const refused = await carol.sync.send("more").catch((error) => error.code);
      const result = { early, names, status: carol.sync.status, refused };
      await world.close();
      await dave.mls.close();
      return result;
    }, seed);
    assert.deepEqual(result, { early: false, names: ["p0", "p1"], status: "removed", refused: "REMOVED" });
  });

  onPages("an intent that cannot hold fails, and stops no other", 1, async (page) => {
    const result = await page.evaluate(async (seed) => {
      const { World, Person } = await import("/scripts/sync-world.js");
      const world = await World.open(seed, 2, 0);
      const [alice, bob] = world.people;
      const [carol, dave] = [await new Person(world, "carol").open(), await new Person(world, "dave").open()];
      const broken = new Uint8Array(await carol.mls.createKeyPackage(carol.identity));
      broken[broken.length - 1] ^= 1; // its signature
      const good = await dave.mls.createKeyPackage(dave.identity);
      const kept = [await alice.sync.add(broken, { to: "carol" }), await alice.sync.add(good, { to: "dave" }), await alice.sync.update()];
      const ends = await Promise.all(kept.map(({ done }) => done.then(() => "held", (error) => `${error.name} ${error.code}`)));
      const none = await alice.sync.add(new Uint8Array(3)).catch((error) => error.code);
      // Nothing is published of what is withdrawn in time.
      world.service.frozen.add("p0");
      const withdrawn = await alice.sync.want({ kind: "custom", name: "word", data: "never" });
      await alice.sync.withdraw(withdrawn.id).catch(() => {});
      const end = await withdrawn.done.then(() => "held", (error) => error.code);
      world.service.frozen.delete("p0");
      await (await bob.sync.send("still here")).done;
      const result = { ends, none, end, invited: [...world.service.welcomes.keys()], failure: alice.has("intent").find(({ state }) => state === "failed").failure.code };
      await world.close();
      for (const { mls } of [carol, dave]) await mls.close();
      return result;
    }, seed);
    assert.deepEqual(result, { ends: ["SyncError IMPOSSIBLE", "held", "held"], none: "IMPOSSIBLE", end: "WITHDRAWN", invited: ["dave"], failure: "INVALID_SIGNATURE" });
  });

  onPages("what failed is told when that is written, and never carried out", 1, async (page) => {
    const result = await page.evaluate(async (seed) => {
      const { World, until } = await import("/scripts/sync-world.js");
      const world = await World.open(seed, 2, 0);
      const [alice] = world.people;
      await alice.sync.stop();
      const transaction = IDBDatabase.prototype.transaction;
      let [refused, broken] = [0, 0];
      // The service refuses the first commit, and from then on the database fails twice.
      const take = world.service.take.bind(world.service);
      world.service.take = (name, publication) => {
        if (publication.kind !== "commit" || refused++ > 0) return take(name, publication);
        IDBDatabase.prototype.transaction = function (names, mode, ...rest) {
          if (mode !== "readwrite" || !this.name.startsWith("webmls-sync/") || broken >= 2) return transaction.call(this, names, mode, ...rest);
          broken++;
          throw new DOMException("the disk is full", "QuotaExceededError");
        };
        return { result: "refused" };
      };
      await alice.live(alice.group, { since: world.service.cursor("p0", 0), database: "full" });
      const end = await (await alice.sync.want({ kind: "custom", name: "word", data: "never" })).done.then(() => "held", (error) => error.code);
      const written = broken;
      await (await alice.sync.want({ kind: "custom", name: "word", data: "later" })).done;
      await until("it is written", async () => (await alice.sync.intents()).length === 0);
      const result = { end, written, words: await alice.words(), states: alice.has("intent").map(({ state }) => state), troubles: alice.has("trouble").map(({ failure }) => failure.message) };
      await world.close();
      return result;
    }, seed);
    assert.deepEqual(result, { end: "REFUSED", written: 2, words: ["later"], states: ["failed", "held"], troubles: ["the disk is full", "the disk is full"] });
  });

  onPages("the log is never looked at unasked where that is asked for, and a listener can stop a sync", 1, async (page) => {
    const result = await page.evaluate(async (seed) => {
      const { World, until, pause } = await import("/scripts/sync-world.js");
      const world = await World.open(seed, 1, 0);
      const [alice] = world.people;
      await alice.sync.stop();
      const transport = world.service.transport("p0");
      let fetched = 0;
      world.service.transport = () => ({ ...transport, fetch: (...args) => (fetched++, transport.fetch(...args)) });
      await alice.live(alice.group, { poll: Infinity });
      await until("it is live", () => alice.sync.status === "live");
      await pause(300);
      const idle = fetched;
      await alice.sync.stop();
      // What fails would be tried again after half a minute at least.
      world.service.frozen.add("p0");
      await alice.live(alice.group, { retry: { first: 60_000 } });
      let stopped = false;
      alice.sync.on("trouble", () => void alice.sync.stop().then(() => (stopped = true)));
      await until("it is stopped", () => stopped, 10_000);
      await world.close();
      return idle;
    }, seed);
    assert.equal(result, 1);
  });

  for (const name of ["Chromium", "Firefox"]) {
    onPages(`a reload between publishing and hearing of it loses nothing, nor does a crash before the delivery, in ${name}`, 1, async (page) => {
      const first = await page.evaluate(async (seed) => {
        const { World, Person, until } = await import("/scripts/sync-world.js");
        const world = await World.open(seed, 2, 0);
        const [alice, bob] = world.people;
        const stored = await new Person(world, "carol").open("carol");
        await (await alice.sync.add(await stored.mls.createKeyPackage(stored.identity), { to: "carol" })).done;
        const { welcome, at } = world.service.welcomes.get("carol");
        // What is delivered to her is never done with before the reload.
        await stored.live(await stored.mls.joinGroup(welcome), { database: "carol", since: world.service.cursor("carol", at), deliver: () => new Promise(() => {}) });
        await (await bob.sync.send("remember this")).done;
        await until("it is received", async () => (await stored.group.inbox()).length === 1);
        // From now on the service takes what she publishes, and its answers are lost.
        const take = world.service.take.bind(world.service);
        const log = [];
        world.service.transport = () => ({
          publish: async (publication) => {
            log.push(publication.kind);
            if (publication.kind === "commit") take("carol", publication);
            throw new Error("offline");
          },
          fetch: async () => {
            if (log.includes("commit")) throw new Error("offline");
            return { entries: [] };
          },
          subscribe: () => () => {},
        });
        await stored.sync.stop();
        await stored.live(stored.group, { database: "carol", deliver: () => new Promise(() => {}) });
        await stored.sync.want({ kind: "custom", name: "word", data: "kept" });
        await stored.sync.want({ kind: "custom", name: "word", data: "too" });
        await until("a commit was published", () => log.includes("commit"));
        await stored.sync.send("sealed offline");
        return { id: [...stored.group.id], log: world.service.branches[0].log.map((message) => [...message]), epoch: Number(world.service.branches[0].epoch) };
      }, seed);
      await page.reload();
      const second = await page.evaluate(async ({ id, log, epoch }, seed) => {
        const { Service, Person, until, chance } = await import("/scripts/sync-world.js");
        const service = new Service(chance(seed));
        service.branches[0] = { log: log.map((message) => new Uint8Array(message)), epoch: BigInt(epoch) };
        const carol = await new Person({ service }, "carol").open("carol");
        const group = await carol.mls.group(new Uint8Array(id));
        await carol.live(group, { database: "carol" });
        await until("nothing is left to do", async () => (await carol.sync.intents()).length === 0);
        await until("all is published", () => carol.has("sent").length === 1);
        await until("the message is delivered", () => carol.delivered.length === 1);
        const result = {
          words: (await carol.words()).sort(),
          delivered: carol.delivered,
          inbox: (await group.inbox()).length,
          sent: carol.has("sent").map(({ state }) => state),
          states: carol.has("intent").map(({ state }) => state),
          // The commit that was published before the reload is the one that won.
          commits: service.branches[0].log.length - log.length,
        };
        await carol.sync.stop();
        await carol.mls.close();
        return result;
      }, first, seed);
      assert.deepEqual(second, { words: ["kept", "too"], delivered: ["remember this"], inbox: 0, sent: ["sent"], states: ["held", "held"], commits: 2 });
      const stored = await page.evaluate(async () => {
        const { deleteSyncDatabase } = await import("/webmls/sync.js");
        const names = async () => (await indexedDB.databases()).map(({ name }) => name).filter((name) => name.startsWith("webmls-sync/"));
        const before = await names();
        await deleteSyncDatabase("carol");
        return [before, await names()];
      });
      assert.deepEqual(stored, [["webmls-sync/carol"], []]);
    }, name);

    onPages(`of two tabs one does the work, and the other takes over, in ${name}`, 2, async (one, other) => {
      const log = await one.evaluate(async (seed) => {
        const { Person, Service, chance } = await import("/scripts/sync-world.js");
        // The service is in the first tab; the other tab asks it by a channel.
        const service = new Service(chance(seed));
        service.quick = true;
        const channel = new BroadcastChannel("service");
        const transport = service.transport("alice");
        channel.onmessage = async ({ data: { call, number, args } }) => {
          if (call) channel.postMessage({ number, answer: await transport[call](...args) });
        };
        const alice = await new Person({ service }, "alice").open("alice");
        const group = await alice.mls.createGroup(alice.identity);
        globalThis.alice = await alice.live(group, { database: "alice" });
        await (await alice.sync.want({ kind: "custom", name: "word", data: "one" })).done;
        return { id: [...group.id], status: alice.sync.status };
      }, seed);
      const following = await other.evaluate(async ({ id }) => {
        const { Person, until } = await import("/scripts/sync-world.js");
        const channel = new BroadcastChannel("service");
        let calls = 0;
        const ask = (call, ...args) =>
          new Promise((resolve) => {
            const number = `${Math.random()}/${calls++}`;
            const hear = ({ data }) => {
              if (data.number !== number || data.call) return;
              channel.removeEventListener("message", hear);
              resolve(data.answer);
            };
            channel.addEventListener("message", hear);
            channel.postMessage({ call, number, args });
          });
        globalThis.calls = () => calls;
        const transport = { publish: (publication) => ask("publish", publication), fetch: (groupId, since) => ask("fetch", groupId, since), subscribe: () => () => {} };
        const alice = await new Person({ service: { transport: () => transport } }, "alice").open("alice");
        globalThis.alice = await alice.live(await alice.mls.group(new Uint8Array(id)), { database: "alice" });
        await until("it follows", () => alice.sync.status === "following");
        // It has the first tab do it, and hears when it holds.
        await (await alice.sync.want({ kind: "custom", name: "word", data: "two" })).done;
        await (await alice.sync.send("from the other tab")).done;
        const refused = await alice.sync.rejoin({}).catch((error) => error.code);
        // What it is given it hands on, and so is what is decided here.
        const statement = await alice.sync.statement();
        statement[13] ^= 1;
        await alice.sync.compare(statement);
        await until("it hears of the fork", () => alice.has("fork").length === 1);
        alice.sync.stay();
        return { status: alice.sync.status, calls, words: await alice.words(), refused };
      }, log);
      await one.evaluate(async () => {
        const { until } = await import("/scripts/sync-world.js");
        await until("it stays", () => alice.has("fork").length === 1 && alice.sync.status === "live");
        await alice.sync.stop();
      });
      const taken = await other.evaluate(async () => {
        const { until } = await import("/scripts/sync-world.js");
        await (await alice.sync.want({ kind: "custom", name: "word", data: "three" })).done;
        await until("it says so", () => alice.sync.status === "live");
        const words = await alice.words();
        await alice.sync.stop();
        await alice.mls.close();
        return { words, calls: calls() > 0 };
      });
      assert.equal(log.status === "live" || log.status === "starting", true, log.status);
      assert.deepEqual(following, { status: "following", calls: 0, words: ["one", "two"], refused: "FOLLOWING" });
      assert.deepEqual(taken, { words: ["one", "two", "three"], calls: true });
    }, name);
  }

  test(`makes a page load at most ${budget} bytes of JavaScript, and none of the rest of the package`, (t) => {
    const dist = (file) => readFileSync(join(root, "js/dist", file), "utf8");
    const files = (file, found = new Set()) => {
      found.add(file);
      for (const [, imported] of dist(file).matchAll(/(?:from|import) ?"\.\/([^"]+)"/g)) if (!found.has(imported)) files(imported, found);
      return found;
    };
    const sizes = [...files("sync.js")].map((file) => [file, brotliCompressSync(dist(file)).length]);
    const sum = sizes.reduce((n, [, size]) => n + size, 0);
    t.diagnostic(`${sum} bytes after brotli: ${sizes.map((pair) => pair.join(" ")).join(", ")}`);
    assert.ok(sum <= budget, `${sum} bytes`);
  });
});
