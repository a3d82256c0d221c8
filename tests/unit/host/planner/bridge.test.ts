/** Bridged networks on macOS: what becomes of a card, and what is said. */
import { describe, expect, test } from 'vitest'
import type { EngineFacts, PlanFacts } from '../../../../src-main/host/planner/facts.ts'
import { bridgesOf, hasVmnet } from '../../../../src-main/host/planner/plan-bridge.ts'
import { planMachine, type Plan } from '../../../../src-main/host/planner/plan-machine.ts'
import { machineSpecSchema } from '../../../../src-shared/model/machine-spec.ts'
import { parseMachineConfig } from '../../../../src-shared/model/machine.ts'
import { networkSchema } from '../../../../src-shared/model/network.ts'
import { engineFacts, qemuProgram, WITHOUT_QEMU } from '../../../support/engine-facts.ts'

const VMNET = engineFacts(['tcg'], { programs: [qemuProgram('x86_64', { features: [...qemuProgram('x86_64').features, 'netdev-vmnet'] })] })

function facts(engines: EngineFacts, bridges: PlanFacts['bridges']): PlanFacts {
  const folders = { logFolder: '/b/logs', firmwareFolder: '/b/firmware' }
  return { ...engines, firmware: { bios: '/b', vgaBios: '/v' }, ...folders, files: new Map(), ...(bridges && { bridges }) }
}

function plan(engines: EngineFacts, bridges: PlanFacts['bridges'], change: object = {}): Plan {
  const config = parseMachineConfig({
    ...{ schema: 1, id: '0b8f3c2a-6a2f-4a7e-9a51-1f6a3f0f6c11', created: '2026-11-21T00:00:00Z', name: 'web-1' },
    ...{ engine: 'qemu', arch: 'x86_64', boot: { kind: 'firmware' } },
    nics: [
      { id: 'nic0', mac: '52:54:00:00:00:01', network: 'default' },
      { id: 'nic1', mac: '52:54:00:00:00:02', network: 'lan' },
    ],
    ...change,
  })
  const plan = planMachine(config, facts(engines, bridges))
  // It has nothing to boot from, which is not the matter here.
  return { ...plan, warnings: plan.warnings.filter(({ path }) => path.startsWith('nics')) }
}

describe('a card in a bridged network', () => {
  test('is joined by QEMU to the card that the network names, and what cannot be had of it is said', () => {
    const { spec, warnings, problems } = plan(VMNET, new Map([['lan', 'en0']]))
    expect(problems).toBeNull()
    expect(spec!.nics.map(({ bridge }) => bridge)).toEqual([undefined, { network: 'lan', card: 'en0' }])
    expect(machineSpecSchema.parse(spec)).toEqual(spec)
    expect(warnings).toEqual([{ path: 'nics.1.network', message: expect.stringMatching(/“en0”.*cannot capture, watch, slow or filter/) }])
  })

  test.each([
    ['no card of the computer was chosen', VMNET, null, {}, /does not say which of this Mac’s network cards/],
    ['QEMU was built without vmnet', engineFacts(), 'en0', {}, /without vmnet/],
  ] as const)('is among machines alone where %s, and the machine starts', (_what, engines, card, change, message) => {
    const { spec, warnings } = plan(engines, new Map([['lan', card]]), change)
    expect(spec!.nics.map(({ bridge }) => bridge)).toEqual([undefined, undefined])
    expect(warnings).toEqual([{ path: 'nics.1.network', message: expect.stringMatching(message) }])
  })

  test('is joined by no embedded machine', () => {
    const embedded = {
      ...{ engine: 'embedded', arch: 'i386', boot: { kind: 'firmware' } },
      nics: [{ id: 'nic0', mac: '52:54:00:00:00:01', network: 'lan' }],
    }
    const { spec, warnings } = plan(VMNET, new Map([['lan', 'en0']]), embedded)
    expect(spec!.nics[0]!.bridge).toBeUndefined()
    expect(warnings.map(({ message }) => message)).toEqual([expect.stringMatching(/embedded engine cannot/)])
  })

  test('is Coppice’s own on other systems', () => {
    const lan = networkSchema.parse({ name: 'lan', kind: 'bridged', hostInterface: 'en0' })
    const nat = networkSchema.parse({ name: 'default', ipv4: '10.0.2.0/24' })
    expect(bridgesOf([nat, lan], 'darwin')).toEqual(new Map([['lan', 'en0']]))
    for (const platform of ['linux', 'win32'] as const) expect(bridgesOf([nat, lan], platform).size).toBe(0)
    const { spec, warnings } = plan(VMNET, new Map())
    expect(spec!.nics[1]).not.toHaveProperty('bridge')
    expect(warnings).toEqual([])
  })
})

test('whether there is a QEMU for it', () => {
  expect([VMNET, engineFacts(), WITHOUT_QEMU].map(({ qemu }) => hasVmnet(qemu))).toEqual([true, false, null])
})
