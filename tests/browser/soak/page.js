// What the pages of the long tests run: one party of one group. Every function
// answers {ok} or {code}; bytes cross as base64.
const { MLS } = await import("/webmls/index.js");

let mls, group;

const encode = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
const decode = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));

/** What a received message was, for the record that the test keeps. */
const outline = (event) => ({
  type: event.type,
  epoch: String(event.epoch),
  ...(event.type === "application" && { text: event.text, inboxId: event.inboxId }),
  ...(event.type === "group-update" && { own: event.own }),
});

const functions = {
  /** Opens the database, and the group if there is one. */
  async open(database) {
    mls = await MLS.open({ database, authenticate: () => true });
    const [id] = await mls.groups();
    if (id) group = await mls.group(id);
    return Boolean(id);
  },
  /** Whether a database beside it is there, which is made when it is not: if both are gone, the browser has dropped them. */
  async witness() {
    const databases = await indexedDB.databases();
    if (databases.some(({ name }) => name === "witness")) return true;
    await new Promise((resolve, reject) => {
      const request = indexedDB.open("witness");
      request.onsuccess = () => resolve(request.result.close());
      request.onerror = () => reject(request.error);
    });
    return false;
  },
  async create(name) {
    group = await mls.createGroup(await mls.createIdentity(name));
  },
  async keyPackage(name) {
    return encode(await mls.createKeyPackage(await mls.createIdentity(name)));
  },
  async add(keyPackage) {
    const { commit, welcome, epoch } = await group.add(decode(keyPackage));
    return { commit: encode(commit), welcome: encode(welcome), epoch: Number(epoch) };
  },
  async join(welcome) {
    group = await mls.joinGroup(decode(welcome));
  },
  async send(text) {
    return encode(await group.send(text));
  },
  async commit() {
    const { commit, epoch } = await group.update();
    return { commit: encode(commit), epoch: Number(epoch) };
  },
  async pendingCommit() {
    const pending = await group.pendingCommit();
    return pending ? { commit: encode(pending.commit), epoch: Number(pending.epoch) } : null;
  },
  async apply() {
    return outline(await group.applyPendingCommit());
  },
  async clear() {
    await group.clearPendingCommit();
  },
  async receive(message) {
    return outline(await group.receive(decode(message)));
  },
  async inbox() {
    return (await group.inbox()).map(outline);
  },
  async acknowledge(ids) {
    await group.acknowledge(...ids);
  },
  async state() {
    const { epoch, epochAuthenticator, status, hasPendingCommit } = await group.info();
    return { epoch: Number(epoch), authenticator: encode(epochAuthenticator), status, hasPendingCommit };
  },
};

globalThis.party = async (name, ...params) => {
  try {
    return { ok: (await functions[name](...params)) ?? null };
  } catch (error) {
    return { code: error?.code ?? String(error?.stack ?? error), detail: String(error?.message ?? error) };
  }
};
