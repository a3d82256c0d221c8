/** Steps of a host that changes networks, and what there is after each. */

export type NetworkStep =
  | { kind: 'create'; name: string }
  | { kind: 'set'; name: string; mtu: number }
  | { kind: 'connect'; name: string }
  | { kind: 'delete'; name: string }

export interface NetworkPicture {
  /** MTUs, by name; beside the default network. */
  networks: Record<string, number>
  /** Where the machine's card is. */
  plugged: string | null
}

/** Networks come, change, get the machine and go again, each while the one before is still there. */
export function stepAt(at: number): NetworkStep {
  const turn = Math.floor(at / 5)
  const name = `net-${turn}`
  switch (at % 5) {
    case 0:
      return { kind: 'create', name }
    case 1:
      return { kind: 'set', name, mtu: 9000 }
    case 2:
      return { kind: 'connect', name }
    case 3:
      return { kind: 'set', name, mtu: 1400 }
    default:
      return { kind: 'delete', name }
  }
}

export function after({ networks, plugged }: NetworkPicture, step: NetworkStep): NetworkPicture {
  const { [step.name]: _, ...others } = networks
  switch (step.kind) {
    case 'create':
      return { networks: { ...networks, [step.name]: 1500 }, plugged }
    case 'set':
      return { networks: { ...networks, [step.name]: step.mtu }, plugged }
    case 'connect':
      return { networks, plugged: step.name }
    case 'delete':
      return { networks: others, plugged: plugged === step.name ? null : plugged }
  }
}

/** What may be there where a host was killed within the step: the old, the new, or what it does in two files. */
export function within(before: NetworkPicture, step: NetworkStep): NetworkPicture[] {
  const done = after(before, step)
  return [before, done, { networks: before.networks, plugged: done.plugged }]
}
