/**
 * Bridged networks on macOS, where QEMU itself joins a machine's network card to this computer's network (vmnet); on Linux the network thread does (TAP), and nothing here applies. What
 * keeps a card from it is said, and keeps no machine from starting: its card is then among those of its network alone. Pure.
 */
import type { MachineConfig } from '../../../src-shared/model/machine.ts'
import type { QemuFacts } from '../../../src-shared/model/engine-facts.ts'
import type { MachineSpec } from '../../../src-shared/model/machine-spec.ts'
import type { Network } from '../../../src-shared/model/network.ts'
import type { EngineChoice } from './choose-engine.ts'
import type { Report } from './report.ts'

/** Bridged networks that engines join themselves, by name: this computer's card, null where none was chosen. */
export type Bridges = ReadonlyMap<string, string | null>
export type Bridge = NonNullable<MachineSpec['nics'][number]['bridge']>

export function bridgesOf(networks: readonly Network[], platform: NodeJS.Platform): Bridges {
  const bridged = platform === 'darwin' ? networks.filter(({ kind }) => kind === 'bridged') : []
  return new Map(bridged.map(({ name, hostInterface }) => [name, hostInterface]))
}

/** Whether a QEMU of this computer can join cards. Null: there is none. */
export function hasVmnet({ found, programs }: QemuFacts): boolean | null {
  return found ? programs.some(({ features }) => features.includes('netdev-vmnet')) : null
}

/** By card. What is not joined, and what is not to be had of one that is, stands in the report. */
export function planBridges({ nics }: MachineConfig, choice: EngineChoice, bridges: Bridges, report: Report): Map<string, Bridge> {
  const found = new Map<string, Bridge>()
  nics.forEach(({ id, network }, at) => {
    const card = network === null ? undefined : bridges.get(network)
    if (network === null || card === undefined) return
    const vmnet = choice.engine === 'qemu' && !choice.problems && choice.fit.program.features.includes('netdev-vmnet')
    const why = whyNotJoined({ network, card, engine: choice.engine, vmnet })
    report.warning(`nics.${at}.network`, why ?? unseen(card!))
    if (why === null) found.set(id, { network, card: card! })
  })
  return found
}

/** What keeps a card from this computer's network; null: nothing, as far as can be known before QEMU tries. @param vmnet as of `hasVmnet` */
export function whyNotJoined(wish: {
  network: string
  card: string | null
  engine: MachineSpec['engine']
  vmnet: boolean | null
}): string | null {
  const { network, card, engine, vmnet } = wish
  if (card === null)
    return `The network “${network}” does not say which of this Mac’s network cards its machines join. Name it in the network’s settings, as en0.`
  if (vmnet === null)
    return 'On a Mac QEMU joins machines to a bridged network, and no QEMU was found here. Install it (brew install qemu).'
  if (engine === 'embedded')
    return 'On a Mac QEMU joins machines to a bridged network, and the embedded engine cannot. Let QEMU run the machine, or use a NAT network with forwards.'
  if (!vmnet)
    return 'The QEMU of this computer was built without vmnet, by which machines join a Mac’s network. Install one that has it (brew install qemu), or use a NAT network with forwards.'
  return null
}

/** A card that moved elsewhere, or whose network did, is not let into the network that QEMU joined it to. @param network that it is to be in now */
export function isJoinedStill(bridge: Bridge, network: string | null, bridges: Bridges): boolean {
  return bridge.network === network && bridges.get(network) === bridge.card
}

/** Of cards that QEMU joins. */
export function unseen(card: string): string {
  return `QEMU itself joins it to this Mac’s “${card}”: its packets do not pass Coppice, which cannot capture, watch, slow or filter them.`
}
