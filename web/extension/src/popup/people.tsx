/** People: one's own card and number, and those whose cards were seen. */
import type { PersonView, StateView } from "../protocol.js";
import { useActing } from "./act.js";
import { Avatar, Block, Failure, TrustBadge } from "./parts.js";
import { Confirm } from "./group.js";

export function People({ me, people }: { me: NonNullable<StateView["me"]>; people: PersonView[] }) {
  const { busy, failure, act } = useActing();
  return (
    <>
      <section class="card own-card" aria-label="Your card">
        <h2>Your card</h2>
        <p class="note">Who has it can invite you. Post it, mail it, put it into your profile.</p>
        <Block armor={me.card} />
        <p class="note">
          Your safety number: <span class="number">{me.number}</span>
        </p>
        <div class="row">
          <button type="button" disabled={busy} title="The old one stays good until it ends" onClick={() => void act({ kind: "new-card" })}>
            New card
          </button>
        </div>
      </section>
      <Failure text={failure} />
      {people.length === 0 && <p class="note pad">Cards that you open are kept here.</p>}
      <ul class="list" aria-label="People">
        {people.map(({ key, name, number, verified, changed, hasCard }) => (
          <li key={key} class="item person" data-name={name}>
            <Avatar name={name} />
            <span class="grow">
              <strong>
                {name} <TrustBadge verified={verified} changed={changed} />
              </strong>
              <span class="note number">{number}</span>
              {!hasCard && <span class="note">known from a group</span>}
            </span>
            <Confirm label="Forget" question="" confirm={() => void act({ kind: "forget-person", key })} />
          </li>
        ))}
      </ul>
    </>
  );
}
