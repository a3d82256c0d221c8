/** Networks by the host's API, with the real network thread; the machines are doubles that send and print frames. */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { networks } from '../../../src-shared/api/index.ts'
import type { NetworkChange, NetworkView } from '../../../src-shared/api/networks.ts'
import { NO_IMPAIRMENT } from '../../../src-shared/model/network.ts'
import { attach, DOUBLES, testHost, type TestHost } from '../machines/support/test-host.ts'
import { until } from '../../support/until.ts'

const MORTAL = { ...DOUBLES, network: new URL('./support/mortal-network.thread.ts', import.meta.url) }

const serviceOf = (host: TestHost) => host.rpc.service(networks)

async function connected(host: TestHost, name: string, machine: string): Promise<boolean> {
  const { nics } = await serviceOf(host).get({ name })
  return nics.some((nic) => nic.machine === machine && nic.connected)
}

/** A machine that runs, with its console. */
async function running(host: TestHost, name: string, networkNames: (string | null)[]) {
  const id = await host.make(name, '', { networks: networkNames })
  await host.machines.start({ id })
  for (const network of networkNames) if (network !== null) await until(() => connected(host, network, id))
  return { id, console: await attach(host, id) }
}

describe('the networks', () => {
  test('there is a NAT network “default”, with subnets that meet none of this computer’s', async () => {
    const host = await testHost()
    const { networks: found, loose, problem } = await serviceOf(host).list({})
    expect(found).toHaveLength(1)
    expect(found[0]).toMatchObject({
      network: { name: 'default', kind: 'nat', ipv4: expect.stringMatching(/\/24$/), ipv6: expect.stringMatching(/^fd.*\/64$/) },
      ...{ domain: 'default.internal', nics: [], forwards: {}, problem: null },
      gateway: { mac: expect.stringMatching(/^52:55:/) },
    })
    expect({ loose, problem }).toEqual({ loose: [], problem: null })
    // Nobody changed anything: nothing is written.
    expect(await readdir(host.library)).not.toContain('networks.json')
  })

  test('are made, changed and removed, and a later host has them', async () => {
    const first = await testHost()
    const service = serviceOf(first)
    const told: NetworkChange[] = []
    service.changed((change) => void told.push(change))
    const lab = await service.create({ name: 'lab' })
    const bare = await service.create({ name: 'wire', kind: 'segment' })
    expect(bare.network).toMatchObject({ ipv4: null, ipv6: null })
    expect(lab.network.ipv4).not.toBe((await service.get({ name: 'default' })).network.ipv4)
    await service.update({
      name: 'lab',
      patch: { hostAccess: true, dns: { enabled: true, domain: 'lab.test', records: [], upstream: [] } },
    })
    const forward = { protocol: 'tcp', hostPort: 18022, guest: lab.gateway!.ipv4!.replace(/1$/, '15'), guestPort: 22 } as const
    const { network } = await service.addForward({ name: 'lab', forward })
    await service.putRouter({ name: 'r1', interfaces: [{ network: 'lab' }, { network: 'default' }] })
    await service.place({ key: 'network/lab', x: 10, y: 20 })
    await service.place({ key: 'router/r1', x: 30, y: 40 })
    await service.unplace({ keys: ['router/r1', 'router/none'] })
    await until(() => told.some((change) => change.kind === 'map'))
    expect(told.filter((change) => change.kind === 'put').at(-1)).toMatchObject({ network: { network: { forwards: [forward] } } })
    await service.remove({ name: 'wire' })
    await first.host.close()

    const later = await testHost({ library: first.library })
    const { networks: found, routers, map } = await serviceOf(later).list({})
    expect(found.map((view) => view.network.name)).toEqual(['default', 'lab'])
    expect(found[1]!.network).toEqual(network)
    expect(found[1]).toMatchObject({ domain: 'lab.test', forwards: { [network.forwards[0]!.id]: { state: 'waiting', problem: null } } })
    const last = (subnet: string): string => subnet.replace(/0\/24$/, '254')
    expect(routers).toMatchObject([
      { router: { name: 'r1', interfaces: [{ ipv4: last(found[1]!.network.ipv4!) }, { network: 'default' }] }, problem: null },
    ])
    expect(map).toEqual({ 'network/lab': { x: 10, y: 20 } })
  })

  test('that cannot be so are refused with the field, and nothing changes', async () => {
    const host = await testHost()
    const service = serviceOf(host)
    await service.create({ name: 'lab', ipv4: '10.9.0.0/24' })
    const forward = { protocol: 'tcp', hostPort: 18023, guest: '10.9.0.5', guestPort: 22 } as const
    await service.addForward({ name: 'lab', forward })
    const before = await readFile(join(host.library, 'networks.json'), 'utf8')
    await expect(service.create({ name: 'lab' })).rejects.toMatchObject({ code: 'already-exists' })
    await expect(service.create({ name: 'none' })).rejects.toMatchObject({ code: 'invalid-input' })
    await expect(service.update({ name: 'lab', patch: { ipv4: '10.9.0.0/30' } })).rejects.toMatchObject({
      code: 'invalid-input',
      details: { fields: expect.arrayContaining([expect.objectContaining({ path: 'ipv4' })]) },
    })
    await expect(service.addForward({ name: 'default', forward: { ...forward, guest: '10.77.0.1' } })).rejects.toMatchObject({
      details: { fields: [{ path: 'forwards.0.guest' }, { path: 'forwards.0.hostPort', message: expect.stringContaining('“lab”') }] },
    })
    await expect(service.addForward({ name: 'lab', forward: { ...forward, guest: crypto.randomUUID() } })).rejects.toMatchObject({
      code: 'not-found',
    })
    await expect(service.remove({ name: 'default', unplug: true })).rejects.toMatchObject({ code: 'wrong-state' })
    await expect(service.get({ name: 'nowhere' })).rejects.toMatchObject({ code: 'not-found' })
    await expect(host.make('web', '', { networks: ['nowhere'] })).rejects.toMatchObject({
      details: { fields: [{ path: 'networks.0', message: expect.stringContaining('“nowhere”') }] },
    })
    expect(await readFile(join(host.library, 'networks.json'), 'utf8')).toBe(before)
  })

  test('in a file that is damaged are kept aside, and those that are valid hold', async () => {
    const first = await testHost()
    await serviceOf(first).create({ name: 'lab' })
    await first.host.close()
    const path = join(first.library, 'networks.json')
    const json = JSON.parse(await readFile(path, 'utf8')) as { networks: object[] }
    json.networks.push({ name: 'Bad Name' })
    await writeFile(path, JSON.stringify(json))
    const later = await testHost({ library: first.library })
    const { networks: found, problem } = await serviceOf(later).list({})
    expect(found.map((view) => view.network.name)).toEqual(['default', 'lab'])
    expect(problem).toMatchObject({ code: 'corrupt', message: expect.stringContaining('kept as') })
    const aside = (await readdir(first.library)).filter((name) => name.startsWith('networks.json.broken-'))
    expect(JSON.parse(await readFile(join(first.library, aside[0]!), 'utf8'))).toEqual(json)
  })

  test('of a newer Coppice are left untouched, and cannot be changed', async () => {
    const host = await testHost()
    await host.host.close()
    const path = join(host.library, 'networks.json')
    const text = '{"schema":9,"networks":[{"name":"lab","kind":"quantum"}]}'
    await writeFile(path, text)
    const later = await testHost({ library: host.library })
    const { networks: found, problem } = await serviceOf(later).list({})
    expect(found.map((view) => view.network.name)).toEqual(['default'])
    expect(problem).toMatchObject({ code: 'newer-version' })
    await expect(serviceOf(later).create({ name: 'lab' })).rejects.toMatchObject({ code: 'newer-version' })
    expect(await readFile(path, 'utf8')).toBe(text)
  })
})

describe('machines', () => {
  test('in one network hear each other, those in others do not; one that is plugged in elsewhere hears those there', async () => {
    const host = await testHost()
    const service = serviceOf(host)
    await service.create({ name: 'lab', kind: 'segment' })
    await service.create({ name: 'other', kind: 'segment' })
    const [a, b, c] = [await running(host, 'a', ['lab']), await running(host, 'b', ['lab']), await running(host, 'c', ['other'])]
    await a.console.type('frame one')
    await b.console.until('{one}')
    await service.connect({ machine: a.id, nic: 'nic0', network: 'other' })
    await until(() => connected(host, 'other', a.id))
    // The guest sees that it is elsewhere.
    await a.console.until('[nic0 cut]')
    await a.console.until('[nic0 joined]')
    await a.console.type('frame two')
    await c.console.until('{two}')
    expect(b.console.text()).not.toContain('two')
    expect(c.console.text()).not.toContain('one')
    expect((await host.machines.get({ id: a.id })).config!.nics[0]!.network).toBe('other')
    await service.connect({ machine: a.id, nic: 'nic0', network: null })
    expect((await service.list({})).loose).toMatchObject([{ machine: a.id, connected: false, network: null }])
  })

  test('have their traffic counted, their links cut and joined, and their impairments live', async () => {
    const host = await testHost()
    const service = serviceOf(host)
    await service.create({ name: 'lab', kind: 'segment' })
    const [a, b] = [await running(host, 'a', ['lab']), await running(host, 'b', ['lab'])]
    const port = { machine: a.id, nic: 'nic0' }
    await a.console.type('frame one')
    await b.console.until('{one}')
    expect(await service.counters({})).toMatchObject({
      [`${a.id}/nic0`]: { framesOut: 1, bytesOut: 60, framesIn: 0 },
      [`${b.id}/nic0`]: { framesOut: 0, framesIn: 1 },
    })
    await service.cut({ ...port, cut: true })
    await a.console.until('[nic0 cut]')
    expect((await service.get({ name: 'lab' })).nics.find((nic) => nic.machine === a.id)).toMatchObject({ cut: true, connected: false })
    // The configuration does not follow: it is the network's.
    expect((await host.machines.get({ id: a.id })).config!.nics[0]).toMatchObject({ link: 'auto', network: 'lab' })
    await a.console.type('frame two')
    await service.cut({ ...port, cut: false })
    await a.console.until('[nic0 joined]')
    await service.impair({ target: port, impairment: { ...NO_IMPAIRMENT, loss: 100 } })
    await a.console.type('frame three')
    await until(async () => (await service.counters({}))[`${a.id}/nic0`]!.lost === 1)
    await service.impair({ target: port, impairment: null })
    await a.console.type('frame four')
    await b.console.until('{four}')
    expect(b.console.text()).not.toMatch(/two|three/)
    await expect(service.cut({ ...port, nic: 'nic9', cut: true })).rejects.toMatchObject({ code: 'not-found' })
  })

  test('tell their traffic once a second while somebody listens', async () => {
    const host = await testHost()
    const service = serviceOf(host)
    await service.create({ name: 'lab', kind: 'segment' })
    const [a, b] = [await running(host, 'a', ['lab']), await running(host, 'b', ['lab'])]
    const sample = new Promise<object>((resolve) => {
      const listening = service.traffic((samples) => {
        if (!samples[`${a.id}/nic0`]) return
        listening.dispose()
        resolve(samples)
      })
    })
    const talking = setInterval(() => void a.console.type('frame x').catch(() => {}), 50)
    onTestFinished(() => clearInterval(talking))
    expect(await sample).toMatchObject({ [`${a.id}/nic0`]: { inBytes: 0 }, [`${b.id}/nic0`]: { outBytes: 0, lost: 0 } })
  })

  test('have their packets captured until that is enough: who cancels it has the file', async () => {
    const host = await testHost()
    const service = serviceOf(host)
    await service.create({ name: 'lab', kind: 'segment' })
    const a = await running(host, 'a', ['lab'])
    const path = join(host.library, 'a.pcapng')
    const target = { machine: a.id, nic: 'nic0' }
    const { task } = await service.capture({ target, path, duration: 60_000 })
    const isWriting = async (): Promise<boolean> => (await readdir(host.library)).some((name) => name.includes('a.pcapng'))
    await until(isWriting)
    for (const word of ['one', 'two']) await a.console.type(`frame ${word}`)
    await until(async () => (await service.counters({}))[`${a.id}/nic0`]!.framesOut >= 2)
    await host.tasks.cancel({ id: task })
    const file = await host.tasks.wait({ id: task })
    expect(file).toMatchObject({ state: 'done', result: { frames: 2 } })
    expect((await readFile(path)).readUInt32LE(0)).toBe(0x0a0d0d0a)
    expect((await readFile(path)).length).toBe(file.result!.bytes)
    const nowhere = join(host.library, 'none', 'a.pcapng')
    await expect(host.done(service.capture({ target, path: nowhere, last: 1000 }))).rejects.toMatchObject({
      code: 'not-found',
      message: `Saving the capture “${nowhere}” failed: the file or folder does not exist.`,
    })
  })

  test('run on when the network thread dies, and are plugged in again', async () => {
    const host = await testHost({ doubles: MORTAL })
    const service = serviceOf(host)
    await service.create({ name: 'lab', kind: 'segment' })
    const [a, b] = [await running(host, 'a', ['lab']), await running(host, 'b', ['lab'])]
    const views: NetworkView[] = []
    service.changed((change) => void (change.kind === 'put' && change.network.network.name === 'lab' && views.push(change.network)))
    const port = { machine: a.id, nic: 'nic0' }
    await service.impair({ target: port, impairment: { ...NO_IMPAIRMENT, seed: 13, duplicate: 1e-9 } })
    await service.cut({ ...port, cut: true }).catch(() => {})
    await until(() => views.some(({ nics }) => nics.every(({ connected: is }) => !is)))
    await service.impair({ target: port, impairment: null })
    await service.cut({ ...port, cut: false })
    await until(async () => (await connected(host, 'lab', a.id)) && (await connected(host, 'lab', b.id)))
    await a.console.type('frame again')
    await b.console.until('{again}')
    expect(await host.machines.list({})).toMatchObject([{ state: 'running' }, { state: 'running' }])
  })

  test('keep a network from being removed, unless they are to be unplugged', async () => {
    const host = await testHost()
    const service = serviceOf(host)
    await service.create({ name: 'lab' })
    const a = await running(host, 'a', ['lab'])
    const off = await host.make('off', '', { networks: ['lab'] })
    await expect(service.remove({ name: 'lab' })).rejects.toMatchObject({
      code: 'wrong-state',
      message: expect.stringContaining('“a”, “off”'),
    })
    await service.remove({ name: 'lab', unplug: true })
    for (const id of [a.id, off]) expect((await host.machines.get({ id })).config!.nics[0]!.network).toBeNull()
    await expect(
      host.machines.update({ id: off, patch: { nics: [{ ...(await host.machines.get({ id: off })).config!.nics[0]!, network: 'lab' }] } }),
    ).rejects.toMatchObject({
      details: { fields: [{ path: 'nics.0.network' }] },
    })
  })

  test('stay in their network while they are suspended, and keep it from being removed', async () => {
    const host = await testHost()
    const service = serviceOf(host)
    await service.create({ name: 'lab' })
    const { id } = await running(host, 'a', ['lab'])
    const off = await host.make('off', '', { networks: ['lab'] })
    await host.done(host.machines.suspend({ id }))
    const networkOf = async (machine: string) => (await host.machines.get({ id: machine })).config!.nics[0]!.network
    for (const network of ['default', null])
      await expect(service.connect({ machine: id, nic: 'nic0', network })).rejects.toMatchObject({
        code: 'wrong-state',
        message: '“a” is suspended: its network cards stay where they are. Resume it, or discard its suspended state, first.',
      })
    await expect(service.remove({ name: 'lab', unplug: true })).rejects.toMatchObject({
      code: 'wrong-state',
      message: '“a” is suspended: its network card stays in “lab”, which is not removed. Resume it, or discard its suspended state, first.',
    })
    expect([await networkOf(id), await networkOf(off)]).toEqual(['lab', 'lab'])
    await host.machines.resume({ id })
    await until(() => connected(host, 'lab', id))
    await host.machines.powerOff({ id })
    await host.machines.update({ id: off, patch: { template: true } })
    await expect(service.remove({ name: 'lab', unplug: true })).rejects.toMatchObject({
      message: '“off” is a template: its network card stays in “lab”, which is not removed. Make it an ordinary machine first.',
    })
    expect(await networkOf(id)).toBe('lab')
    await host.machines.update({ id: off, patch: { template: false } })
    await service.remove({ name: 'lab', unplug: true })
    expect([await networkOf(id), await networkOf(off)]).toEqual([null, null])
  })

  test('need no thread while none of them is plugged in; who asks then hears that there is nothing', async () => {
    const host = await testHost({ doubles: { ...DOUBLES, network: new URL('file:///nowhere/at-all.ts') } })
    const service = serviceOf(host)
    const id = await host.make('a')
    await host.machines.start({ id })
    expect(await service.counters({})).toEqual({})
    expect(await service.packet({ id: 'x' })).toBeNull()
    expect(await service.leases({ name: 'default' })).toEqual([])
    expect(await service.alerts({})).toEqual([])
  })
})
