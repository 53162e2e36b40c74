package main

import (
	"bytes"
	"context"
	"fmt"

	"webmls/mls"
	"webmls/mls/suite"
	"webmls/tests/vectors"
)

// replay has a new client, over keys, do what the client of the case did.
func replay(ctx context.Context, keys suite.Keys, c *vectors.PassiveClient) error {
	client, err := mls.Open(ctx, mls.Config{
		Keys:          keys,
		Store:         mls.NewMemoryStore(),
		Authenticator: anyone{},
		// Key packages were made for the time of the recording, not for ours.
		Limits: mls.Limits{IgnoreReceivedLifetimes: true, MaxResumptionPSKs: 1000},
	})
	if err != nil {
		return err
	}
	defer client.Close()
	for _, psk := range c.ExternalPSKs {
		if err := client.StorePSK(ctx, psk.PSKID, psk.PSK); err != nil {
			return err
		}
	}
	if _, err := client.ImportKeyPackage(ctx, mls.ImportedKeyPackage{
		KeyPackage:   c.KeyPackage,
		SignatureKey: padded(c, c.SignaturePriv),
		InitKey:      padded(c, c.InitPriv),
		LeafKey:      padded(c, c.EncryptionPriv),
	}); err != nil {
		return err
	}
	var opts mls.JoinOptions
	if c.RatchetTree != nil {
		opts.RatchetTree = *c.RatchetTree
	}
	group, err := client.JoinGroup(ctx, c.Welcome, opts)
	if err != nil {
		return err
	}
	if err := compare(ctx, group, c.InitialEpochAuthenticator); err != nil {
		return fmt.Errorf("after the welcome: %w", err)
	}
	for i, epoch := range c.Epochs {
		if err := follow(ctx, group, &epoch); err != nil {
			return fmt.Errorf("commit %d: %w", i, err)
		}
	}
	return nil
}

// follow receives the proposals and the commit that lead to the next epoch.
func follow(ctx context.Context, group *mls.Group, epoch *vectors.PassiveClientEpoch) error {
	for i, proposal := range epoch.Proposals {
		ev, err := group.Receive(ctx, proposal)
		if err != nil {
			return fmt.Errorf("proposal %d: %w", i, err)
		}
		if ev.Type != mls.EventProposal {
			return fmt.Errorf("proposal %d is taken for %s", i, ev.Type)
		}
	}
	ev, err := group.Receive(ctx, epoch.Commit)
	if err != nil {
		return err
	}
	if ev.Type != mls.EventGroupUpdate {
		return fmt.Errorf("taken for %s", ev.Type)
	}
	return compare(ctx, group, epoch.EpochAuthenticator)
}

// compare checks the epoch authenticator.
func compare(ctx context.Context, group *mls.Group, want []byte) error {
	info, err := group.Info(ctx)
	if err != nil {
		return err
	}
	if !bytes.Equal(info.EpochAuthenticator, want) {
		return fmt.Errorf("epoch authenticator %x, want %x", info.EpochAuthenticator, want)
	}
	return nil
}

// padded gives a P-521 scalar the zero in front that some of the recorded files
// leave out.
func padded(c *vectors.PassiveClient, private []byte) []byte {
	const size = 66
	if suite.ID(c.CipherSuite) != suite.P521AES256SHA512P521 || len(private) >= size {
		return private
	}
	return append(make([]byte, size-len(private)), private...)
}

// anyone is an Authenticator that takes every credential for what it says.
type anyone struct{}

func (anyone) Authenticate(context.Context, []mls.Claim) error      { return nil }
func (anyone) Succeeds(context.Context, mls.Claim, mls.Claim) error { return nil }
