//go:build js && wasm

package main

import (
	"context"
	"slices"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/treemath"
)

// A method reads the arguments of a call, at once, and makes the job that
// carries it out in its turn.
type method func(in *args) *job

// clientStep is the part of a method of a client that waits for its turn.
type clientStep func(ctx context.Context, c *mls.Client) (any, error)

// groupStep is the same for a group.
type groupStep func(ctx context.Context, g *mls.Group) (any, error)

// methods is what JavaScript may call. Each entry decodes, makes one call of
// package mls, and encodes. js/src/bridge.ts has the same table as types;
// tests/contract compares the two.
var methods = map[string]method{
	"open": alone(func(in *args) func() (any, error) {
		store, keys, authenticator := in.hostObject("store"), in.hostObject("keys"), in.hostObject("authenticator")
		options := openOptions{identifies: in.flag("identifies"), limits: in.limits("limits"), supported: in.supported("supported")}
		return func() (any, error) { return as(same[int])(openClient(store, keys, authenticator, options)) }
	}),
	"close": alone(func(in *args) func() (any, error) {
		number := in.number("client")
		return func() (any, error) { return nothing(closeClient(int(number))) }
	}),
	"peek": alone(func(in *args) func() (any, error) {
		b := in.bytes("message")
		return func() (any, error) { return as(headerValue)(message.PeekHeader(b)) }
	}),
	"argon2id": alone(func(in *args) func() (any, error) {
		password, salt := in.bytes("password"), in.bytes("salt")
		passes, memory := in.number("passes"), in.number("memory")
		return func() (any, error) { return as(bytesValue)(stretch(password, salt, passes, memory)) }
	}),

	"createIdentity": ofClient(func(in *args) clientStep {
		suite, credential := suiteOr(in.optionalNumber("suite")), in.credential("credential")
		return func(ctx context.Context, c *mls.Client) (any, error) {
			return as(identityValue)(c.CreateIdentity(ctx, suite, credential))
		}
	}),
	"issueIdentity": func(in *args) *job {
		c, suite, issue := in.ofClient(), suiteOr(in.optionalNumber("suite")), int(in.number("issue"))
		return c.job(issueLane(issue), func(ctx context.Context) (any, error) {
			return as(identityValue)(c.IssueIdentity(ctx, suite, c.issuer(issue)))
		})
	},
	"issueIdentity.sign": func(in *args) *job {
		c, issue, content := in.ofClient(), int(in.number("issue")), in.bytes("content")
		return c.job(signLane(issue), func(ctx context.Context) (any, error) {
			return as(bytesValue)(c.signIssue(ctx, issue, content))
		})
	},
	"renewIdentity": ofClient(func(in *args) clientStep {
		identity, credential := in.bytes("identity"), in.credential("credential")
		return func(ctx context.Context, c *mls.Client) (any, error) {
			return as(identityValue)(c.RenewIdentity(ctx, identity, credential))
		}
	}),
	"identities": ofClient(func(in *args) clientStep {
		return func(ctx context.Context, c *mls.Client) (any, error) {
			return asList(identityValue)(c.Identities(ctx))
		}
	}),
	"createKeyPackages": ofClient(func(in *args) clientStep {
		identity, count := in.bytes("identity"), int(in.number("count"))
		options := mls.KeyPackageOptions{
			Lifetime: seconds(in.optionalNumber("lifetime")), LastResort: in.flag("lastResort"),
			Extensions: in.extensions("extensions"), LeafExtensions: in.extensions("leafExtensions"),
		}
		return func(ctx context.Context, c *mls.Client) (any, error) {
			return asList(bytesValue)(c.CreateKeyPackages(ctx, identity, count, options))
		}
	}),
	"keyPackageCount": ofClient(func(in *args) clientStep {
		identity := in.bytes("identity")
		return func(ctx context.Context, c *mls.Client) (any, error) {
			return as(same[int])(c.KeyPackageCount(ctx, identity))
		}
	}),
	"keyPackages": ofClient(func(in *args) clientStep {
		identity := in.bytes("identity")
		return func(ctx context.Context, c *mls.Client) (any, error) {
			return asList(keyPackageValue)(c.KeyPackages(ctx, identity))
		}
	}),
	"deleteKeyPackages": ofClient(func(in *args) clientStep {
		references := in.bytesList("references")
		return func(ctx context.Context, c *mls.Client) (any, error) {
			return nothing(c.DeleteKeyPackages(ctx, references...))
		}
	}),
	"createGroup": ofClient(func(in *args) clientStep {
		identity := in.bytes("identity")
		options := mls.GroupOptions{
			GroupID: in.optionalBytes("id"), Extensions: in.extensions("extensions"), LeafExtensions: in.extensions("leafExtensions"),
		}
		return func(ctx context.Context, c *mls.Client) (any, error) {
			return infoOf(ctx)(c.CreateGroup(ctx, identity, options))
		}
	}),
	"joinGroup": ofClient(func(in *args) clientStep {
		welcome, options := in.bytes("welcome"), mls.JoinOptions{RatchetTree: in.optionalBytes("ratchetTree")}
		return func(ctx context.Context, c *mls.Client) (any, error) {
			return infoOf(ctx)(c.JoinGroup(ctx, welcome, options))
		}
	}),
	"inspectWelcome": ofClient(func(in *args) clientStep {
		welcome := in.bytes("welcome")
		return func(ctx context.Context, c *mls.Client) (any, error) {
			return as(welcomeValue)(c.InspectWelcome(ctx, welcome))
		}
	}),
	"joinExternal": ofClient(func(in *args) clientStep {
		identity, groupInfo := in.bytes("identity"), in.bytes("groupInfo")
		options := mls.ExternalOptions{
			RatchetTree: in.optionalBytes("ratchetTree"), Resync: in.flag("resync"),
			PSKs: in.psks("psks"), AuthenticatedData: in.optionalBytes("authenticatedData"), WithGroupInfo: in.flag("withGroupInfo"),
			LeafExtensions: in.extensions("leafExtensions"),
		}
		return func(ctx context.Context, c *mls.Client) (any, error) {
			return founded(ctx)(c.JoinExternal(ctx, identity, groupInfo, options))
		}
	}),
	"proposeToJoin": ofClient(func(in *args) clientStep {
		groupInfo, keyPackage, data := in.bytes("groupInfo"), in.bytes("keyPackage"), in.optionalBytes("authenticatedData")
		return func(ctx context.Context, c *mls.Client) (any, error) {
			return as(bytesValue)(c.ProposeToJoin(ctx, groupInfo, keyPackage, data))
		}
	}),
	"proposeExternally": ofClient(func(in *args) clientStep {
		groupInfo, from := in.bytes("groupInfo"), mls.ExternalProposer{Index: in.number("index"), Identity: in.bytes("identity")}
		options := mls.ProposeOptions{
			Add: in.optionalBytes("add"), Remove: leaf(in.optionalNumber("remove")), PSK: in.psk("psk"),
			Extensions: listed(in.extensions("extensions")), ReInit: in.reInit("reInit"), Custom: in.custom("custom"),
			AuthenticatedData: in.optionalBytes("authenticatedData"),
		}
		return func(ctx context.Context, c *mls.Client) (any, error) {
			return as(bytesValue)(c.ProposeExternally(ctx, groupInfo, from, options))
		}
	}),
	"groups": ofClient(func(in *args) clientStep {
		return func(ctx context.Context, c *mls.Client) (any, error) { return asList(bytesValue)(c.Groups(ctx)) }
	}),
	"storePSK": ofClient(func(in *args) clientStep {
		id, secret := in.bytes("id"), in.bytes("secret")
		return func(ctx context.Context, c *mls.Client) (any, error) { return nothing(c.StorePSK(ctx, id, secret)) }
	}),
	"deletePSK": ofClient(func(in *args) clientStep {
		id := in.bytes("id")
		return func(ctx context.Context, c *mls.Client) (any, error) { return nothing(c.DeletePSK(ctx, id)) }
	}),

	"inspect": ofClient(func(in *args) clientStep {
		return func(ctx context.Context, c *mls.Client) (any, error) { return as(clientSnapshotValue)(c.Snapshot(ctx)) }
	}),

	"group.delete": func(in *args) *job {
		c, id := in.ofClient(), in.bytes("group")
		return c.job(groupLane(id), func(ctx context.Context) (any, error) { return nothing(c.DeleteGroup(ctx, id)) })
	},
	"group.info": ofGroup(func(in *args) groupStep {
		return func(ctx context.Context, g *mls.Group) (any, error) { return as(infoValue)(g.Info(ctx)) }
	}),
	"group.members": ofGroup(func(in *args) groupStep {
		return func(ctx context.Context, g *mls.Group) (any, error) { return asList(memberValue)(g.Members(ctx)) }
	}),
	"group.member": ofGroup(func(in *args) groupStep {
		leaf := treemath.LeafIndex(in.number("leaf"))
		return func(ctx context.Context, g *mls.Group) (any, error) {
			return as(memberDetailsValue)(g.Member(ctx, leaf))
		}
	}),
	"group.inspect": ofGroup(func(in *args) groupStep {
		return func(ctx context.Context, g *mls.Group) (any, error) { return as(groupSnapshotValue)(g.Snapshot(ctx)) }
	}),
	"group.commit": ofGroup(func(in *args) groupStep {
		options := mls.CommitOptions{
			Add: in.bytesList("add"), Remove: leaves(in.numberList("remove")), PSKs: in.psks("psks"),
			Extensions: listed(in.extensions("extensions")), ReInit: in.reInit("reInit"), Custom: in.customs("custom"),
			NoPath: in.flag("noPath"), PublicMessage: in.flag("publicMessage"),
			NoRatchetTree: in.flag("noRatchetTree"), WithGroupInfo: in.flag("withGroupInfo"),
			IgnoreProposals: in.flag("ignoreProposals"), AuthenticatedData: in.optionalBytes("authenticatedData"),
			Identity: in.optionalBytes("identity"), LeafExtensions: listed(in.extensions("leafExtensions")),
			RenewCapabilities: in.flag("renewCapabilities"),
		}
		return func(ctx context.Context, g *mls.Group) (any, error) { return as(commitValue)(g.Commit(ctx, options)) }
	}),
	"group.pendingCommit": ofGroup(func(in *args) groupStep {
		return func(ctx context.Context, g *mls.Group) (any, error) { return as(commitValue)(g.PendingCommit(ctx)) }
	}),
	"group.applyPendingCommit": ofGroup(func(in *args) groupStep {
		return func(ctx context.Context, g *mls.Group) (any, error) {
			return as(eventValue)(g.ApplyPendingCommit(ctx))
		}
	}),
	"group.clearPendingCommit": ofGroup(func(in *args) groupStep {
		return func(ctx context.Context, g *mls.Group) (any, error) { return nothing(g.ClearPendingCommit(ctx)) }
	}),
	"group.pendingRatchetTree": ofGroup(func(in *args) groupStep {
		return func(ctx context.Context, g *mls.Group) (any, error) {
			return as(bytesValue)(g.PendingRatchetTree(ctx))
		}
	}),
	"group.reInit": ofGroup(func(in *args) groupStep {
		keyPackages, options := in.bytesList("keyPackages"), in.successor()
		return func(ctx context.Context, g *mls.Group) (any, error) {
			return founded(ctx)(g.ReInit(ctx, keyPackages, options))
		}
	}),
	"group.branch": ofGroup(func(in *args) groupStep {
		keyPackages := in.bytesList("keyPackages")
		options := mls.BranchOptions{SuccessorOptions: in.successor(), GroupID: in.optionalBytes("id"), Extensions: in.extensions("extensions")}
		return func(ctx context.Context, g *mls.Group) (any, error) {
			return founded(ctx)(g.Branch(ctx, keyPackages, options))
		}
	}),
	"group.propose": ofGroup(func(in *args) groupStep {
		options := mls.ProposeOptions{
			Add: in.optionalBytes("add"), Remove: leaf(in.optionalNumber("remove")), Update: in.flag("update"), PSK: in.psk("psk"),
			Extensions: listed(in.extensions("extensions")), ReInit: in.reInit("reInit"), Custom: in.custom("custom"),
			Identity: in.optionalBytes("identity"), PublicMessage: in.flag("publicMessage"),
			LeafExtensions: listed(in.extensions("leafExtensions")), RenewCapabilities: in.flag("renewCapabilities"),
			AuthenticatedData: in.optionalBytes("authenticatedData"),
		}
		return func(ctx context.Context, g *mls.Group) (any, error) {
			return as(proposalResultValue)(g.Propose(ctx, options))
		}
	}),
	"group.proposals": ofGroup(func(in *args) groupStep {
		return func(ctx context.Context, g *mls.Group) (any, error) {
			return asList(proposalValue)(g.Proposals(ctx))
		}
	}),
	"group.dropProposal": ofGroup(func(in *args) groupStep {
		reference := in.bytes("reference")
		return func(ctx context.Context, g *mls.Group) (any, error) { return nothing(g.DropProposal(ctx, reference)) }
	}),
	"group.send": ofGroup(func(in *args) groupStep {
		content, options := in.bytes("content"), in.sending()
		in.together = "send"
		return func(ctx context.Context, g *mls.Group) (any, error) {
			return as(bytesValue)(g.Send(ctx, content, options))
		}
	}),
	"group.sendAll": ofGroup(func(in *args) groupStep {
		contents, options := in.bytesList("contents"), in.sending()
		return func(ctx context.Context, g *mls.Group) (any, error) {
			return asList(bytesValue)(g.SendAll(ctx, contents, options))
		}
	}),
	"group.sendEach": ofGroup(func(in *args) groupStep {
		contents, options := in.bytesList("contents"), in.sending()
		return func(ctx context.Context, g *mls.Group) (any, error) {
			return list(g.SendEach(ctx, contents, options), sentValue), nil
		}
	}),
	"group.receive": ofGroup(func(in *args) groupStep {
		b := in.bytes("message")
		in.together = "receive"
		return func(ctx context.Context, g *mls.Group) (any, error) { return as(eventValue)(g.Receive(ctx, b)) }
	}),
	"group.receiveAll": ofGroup(func(in *args) groupStep {
		messages := in.bytesList("messages")
		return func(ctx context.Context, g *mls.Group) (any, error) { return receivedAll(g.ReceiveAll(ctx, messages)) }
	}),
	"group.inbox": ofGroup(func(in *args) groupStep {
		return func(ctx context.Context, g *mls.Group) (any, error) { return asList(inboxValue)(g.Inbox(ctx)) }
	}),
	"group.acknowledge": ofGroup(func(in *args) groupStep {
		ids := in.integerList("ids")
		return func(ctx context.Context, g *mls.Group) (any, error) { return nothing(g.Acknowledge(ctx, ids...)) }
	}),
	"group.exportSecret": ofGroup(func(in *args) groupStep {
		label, about, length := in.bytes("label"), in.bytes("context"), int(in.number("length"))
		return func(ctx context.Context, g *mls.Group) (any, error) {
			return as(bytesValue)(g.Export(ctx, string(label), about, length))
		}
	}),
	"group.groupInfo": ofGroup(func(in *args) groupStep {
		options := mls.GroupInfoOptions{NoRatchetTree: in.flag("noRatchetTree"), NoExternalPub: in.flag("noExternalPub")}
		return func(ctx context.Context, g *mls.Group) (any, error) { return as(bytesValue)(g.GroupInfo(ctx, options)) }
	}),
	"group.ratchetTree": ofGroup(func(in *args) groupStep {
		return func(ctx context.Context, g *mls.Group) (any, error) { return as(bytesValue)(g.RatchetTree(ctx)) }
	}),
}

// alone makes a method that is for no open client and waits for nothing.
func alone(read func(in *args) func() (any, error)) method {
	return func(in *args) *job {
		step := read(in)
		return &job{step: func(context.Context) (any, error) { return step() }}
	}
}

// ofClient makes a method of a client, in the lane of the calls for no group.
func ofClient(read func(in *args) clientStep) method {
	return func(in *args) *job {
		c, step := in.ofClient(), read(in)
		return c.job(clientLane, func(ctx context.Context) (any, error) { return step(ctx, c.Client) })
	}
}

// ofGroup makes a method of a group, in the group's lane.
func ofGroup(read func(in *args) groupStep) method {
	return func(in *args) *job {
		c, id, step := in.ofClient(), in.bytes("group"), read(in)
		j := c.job(groupLane(id), func(ctx context.Context) (any, error) {
			g, err := c.Group(ctx, id)
			if err != nil {
				return nil, err
			}
			return step(ctx, g)
		})
		if j != nil {
			j.together = in.together
		}
		return j
	}
}

// infoOf makes the result of a step that gives a group.
func infoOf(ctx context.Context) func(*mls.Group, error) (any, error) {
	return func(g *mls.Group, err error) (any, error) {
		if err != nil {
			return nil, err
		}
		return as(infoValue)(g.Info(ctx))
	}
}

// receivedAll makes the result of a step that receives many messages. What was
// received before the step failed is stored, so that it must be told: the others
// have the error of the step as theirs.
func receivedAll(list []mls.Received, err error) (any, error) {
	reached := slices.ContainsFunc(list, func(r mls.Received) bool { return r.Event != nil })
	if err != nil && !reached {
		return nil, err
	}
	return asList(receivedValue)(list, nil)
}

// founded makes the result of a step that gives a group and the commit that
// leads into it.
func founded(ctx context.Context) func(*mls.Group, *mls.CommitResult, error) (any, error) {
	return func(g *mls.Group, commit *mls.CommitResult, err error) (any, error) {
		info, err := infoOf(ctx)(g, err)
		if err != nil {
			return nil, err
		}
		return foundedValue(info, commit), nil
	}
}
