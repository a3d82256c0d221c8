/** Agents in guests through the host, from a real thread: good ones, and those that a hostile guest would run. */
import { describe, expect, test } from 'vitest'
import { collect, type Executed } from '../../guest/support/exec.ts'
import { HOSTILE } from '../../support/agent-double.ts'
import { attach, testHost, type TestHost } from './support/test-host.ts'

async function running(host: TestHost, cmdline: string, name = 'a'): Promise<string> {
  const id = await host.make(name, cmdline)
  await host.machines.start({ id })
  return id
}

async function exec(host: TestHost, id: string): Promise<Executed> {
  const command = { path: 'id', args: ['-u'], env: [], input: false, limitMs: null }
  return collect((await host.machines.exec({ id, command })).stream)
}

describe('an agent', () => {
  test('tells the addresses, by network card, which are forgotten when the guest restarts', async () => {
    const host = await testHost()
    const id = await running(host, 'agent=good')
    const told = await host.until(id, ({ addresses }) => addresses.length > 0)
    // IPv4 first, and nothing of the loopback.
    expect(told.addresses).toEqual(['192.0.2.5', 'fd00::5'])
    expect(told.interfaces).toEqual([{ nic: null, name: 'eth0', mac: '52:54:00:00:00:01', addresses: ['192.0.2.5', 'fd00::5'] }])
    expect(await host.machines.addresses({ id })).toEqual(told.interfaces)
    expect(await host.machines.list({})).toMatchObject([{ addresses: ['192.0.2.5', 'fd00::5'] }])
    await host.machines.powerOff({ id })
    expect(await host.machines.get({ id })).toMatchObject({ addresses: [], interfaces: [] })
    await expect(host.machines.addresses({ id })).rejects.toMatchObject({
      code: 'wrong-state',
      message: expect.stringContaining('is off') as string,
    })
  })

  test('runs programs', async () => {
    const host = await testHost()
    const id = await running(host, 'agent=good')
    expect(await exec(host, id)).toMatchObject({ exitCode: 3, signal: null, truncated: false, out: 'out', err: 'err' })
    await host.machines.pause({ id })
    await expect(exec(host, id)).rejects.toMatchObject({
      code: 'wrong-state',
      message: expect.stringContaining('Resume it first') as string,
    })
  })
})

test('hostile agents, all at once, cost their guests’ own wishes, and nothing else', { timeout: 120_000 }, async () => {
  const host = await testHost()
  await Promise.all(HOSTILE.map((behaviour) => bears(host, behaviour)))
})

/** The host goes on with a machine whose agent behaves so. */
async function bears(host: TestHost, behaviour: (typeof HOSTILE)[number]): Promise<void> {
  const id = await running(host, `agent=${behaviour}`, behaviour)
  if (behaviour !== 'half') {
    const error = await host.machines.addresses({ id }).then(
      () => null,
      (failed: Error) => failed,
    )
    expect(error, behaviour).toMatchObject({ code: expect.stringMatching(/^(unavailable|corrupt|timeout)$/) as string })
    expect(error?.message, behaviour).toMatch(/^[A-Z].*\.$/)
  }
  // The machine runs on, and its console answers.
  const console = await attach(host, id)
  await console.type('set fine')
  await console.type('get')
  await console.until('=fine=')
  expect(await host.machines.get({ id }), behaviour).toMatchObject({ state: 'running', addresses: [], lastError: null })
  await host.machines.powerOff({ id })
}
