/** Power operations through the API, with real threads, wires and bundles; the guest is a double. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { LOOK_INTERVAL } from '../../../src-main/host/machines/running/heartbeat.ts'
import { POWER_BUTTON_PATIENCE, PRESS_AGAIN } from '../../../src-main/host/machines/running/power-button.ts'
import { attach, testHost } from './support/test-host.ts'

afterEach(() => void vi.useRealTimers())

describe('a machine', () => {
  test('starts, boots, pauses, resumes, resets and is powered off', async () => {
    const host = await testHost()
    const id = await host.make('web-1')
    const states: string[] = []
    host.machines.changed((change) => {
      if (change.kind === 'put' && states.at(-1) !== change.machine.state) states.push(change.machine.state)
    })
    expect(await host.machines.start({ id })).toMatchObject({ state: 'running', lastError: null })
    const booted = await host.machines.waitBooted({ id })
    expect(booted.bootedAt).not.toBeNull()
    expect(booted.startedAt).not.toBeNull()
    expect(await host.machines.pause({ id })).toMatchObject({ state: 'paused' })
    expect(await host.machines.resume({ id })).toMatchObject({ state: 'running', bootedAt: booted.bootedAt })
    expect(await host.machines.reset({ id })).toMatchObject({ state: 'running' })
    await host.machines.waitBooted({ id })
    expect(await host.machines.powerOff({ id })).toMatchObject({ state: 'off', startedAt: null, bootedAt: null, health: null })
    expect(states).toEqual(['starting', 'running', 'paused', 'running', 'stopping', 'off'])
    expect(await readdir(join(host.library, 'web-1.coppice'))).not.toContain('lock')
  })

  test('refuses with a sentence what is not legal now', async () => {
    const host = await testHost()
    const id = await host.make('web-1')
    for (const action of ['pause', 'resume', 'reset', 'powerButton', 'powerOff', 'suspend', 'discardSuspend'] as const)
      await expect(host.machines[action]({ id }), action).rejects.toMatchObject({
        code: 'wrong-state',
        message: expect.stringMatching(/^“web-1” cannot be .* now: it is off\.$/) as string,
      })
    await expect(host.machines.waitBooted({ id })).rejects.toMatchObject({ code: 'wrong-state' })
    await expect(host.machines.type({ id, text: 'x' })).rejects.toMatchObject({ code: 'wrong-state' })
    await expect(host.machines.start({ id: 'nobody' })).rejects.toMatchObject({ code: 'not-found' })
    await host.machines.start({ id })
    await expect(host.machines.start({ id })).rejects.toMatchObject({ message: '“web-1” cannot be started now: it is running.' })
    await expect(host.machines.trash({ id })).rejects.toMatchObject({ code: 'wrong-state' })
    await expect(host.machines.update({ id, patch: { memoryMiB: 512 } })).rejects.toMatchObject({ code: 'wrong-state' })
    await expect(host.machines.duplicate({ id, name: 'b' })).rejects.toMatchObject({ code: 'wrong-state' })
    expect(await host.machines.update({ id, patch: { notes: 'any time' } })).toMatchObject({ config: { notes: 'any time' } })
  })

  test('started twice at once runs once', async () => {
    const host = await testHost()
    const id = await host.make('web-1')
    const results = await Promise.allSettled([host.machines.start({ id }), host.machines.start({ id }), host.machines.trash({ id })])
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected'])
    expect(host.host.activeMachines()).toHaveLength(1)
  })

  test('powered off while it starts is off, and can be started again', async () => {
    const host = await testHost()
    const id = await host.make('web-1')
    const starting = host.machines.start({ id }).then(
      () => null,
      (error: unknown) => error,
    )
    await host.until(id, ({ state }) => state === 'starting')
    expect(await host.machines.powerOff({ id })).toMatchObject({ state: 'off', lastError: null })
    await starting
    expect(await host.machines.start({ id })).toMatchObject({ state: 'running' })
  })

  test('that switches itself off is off; one that restarts itself boots again', async () => {
    const host = await testHost()
    const id = await host.make('web-1')
    await host.machines.start({ id })
    const first = await host.machines.waitBooted({ id })
    await host.machines.type({ id, text: 'reboot\n' })
    await host.until(id, ({ bootedAt }) => bootedAt !== null && bootedAt !== first.bootedAt)
    await host.machines.type({ id, text: 'poweroff\n' })
    const off = await host.until(id, ({ state }) => state === 'off')
    expect(off.lastError).toBeNull()
    expect(host.host.activeMachines()).toEqual([])
  })

  test('goes off by its power button', async () => {
    const host = await testHost()
    const id = await host.make('web-1')
    await host.machines.start({ id })
    expect(await host.machines.powerButton({ id })).toMatchObject({ state: 'stopping' })
    await host.until(id, ({ state }) => state === 'off')
  })

  test('that ignores its power button counts as running again after the named time, and says so', async () => {
    const host = await testHost()
    const id = await host.make('web-1', 'deaf')
    await host.machines.start({ id })
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    await host.machines.powerButton({ id })
    vi.advanceTimersByTime(POWER_BUTTON_PATIENCE)
    vi.useRealTimers()
    const view = await host.until(id, ({ state }) => state === 'running')
    expect(view.lastError?.message).toBe(
      '“web-1” did not react to its power button within 60 s. Shut it down from inside, or power it off.',
    )
  })

  test('whose power button is pressed while it boots goes off when it has booted', async () => {
    const host = await testHost()
    const id = await host.make('web-1', 'late')
    await host.machines.start({ id })
    expect(await host.machines.powerButton({ id })).toMatchObject({ state: 'stopping' })
    await host.machines.type({ id, text: 'boot\n' })
    expect(await host.until(id, ({ state }) => state === 'off')).toMatchObject({ lastError: null })

    // The same where it was restarting just then.
    await host.machines.start({ id })
    await host.machines.type({ id, text: 'boot\n' })
    await host.machines.waitBooted({ id })
    await host.machines.type({ id, text: 'reboot\n' })
    await host.until(id, ({ bootedAt }) => bootedAt === null)
    await host.machines.powerButton({ id })
    await host.machines.type({ id, text: 'reboot\nboot\n' })
    expect(await host.until(id, ({ state }) => state === 'off')).toMatchObject({ lastError: null })
  })

  test('of which no boot is seen is asked again and again; one that has booted, once', async () => {
    const host = await testHost()
    const id = await host.make('web-1', 'late')
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    await host.machines.start({ id })
    await host.machines.powerButton({ id })
    await host.machines.type({ id, text: 'listen\n' })
    vi.advanceTimersByTime(PRESS_AGAIN)
    await host.until(id, ({ state }) => state === 'off')

    // Suspended while it booted, it still boots.
    await host.machines.start({ id })
    await host.done(host.machines.suspend({ id }))
    await host.machines.resume({ id })
    await host.machines.powerButton({ id })
    await host.machines.type({ id, text: 'listen\n' })
    vi.advanceTimersByTime(PRESS_AGAIN)
    await host.until(id, ({ state }) => state === 'off')

    const booted = await host.make('web-2', 'deaf')
    await host.machines.start({ id: booted })
    await host.machines.waitBooted({ id: booted })
    await host.machines.powerButton({ id: booted })
    await host.machines.type({ id: booted, text: 'listen\n' })
    vi.advanceTimersByTime(10 * PRESS_AGAIN)
    await host.machines.type({ id: booted, text: 'set x\n' })
    expect(await host.machines.get({ id: booted })).toMatchObject({ state: 'stopping' })
    // Its user may press again.
    expect(await host.machines.powerButton({ id: booted })).toMatchObject({ state: 'stopping' })
    await host.until(booted, ({ state }) => state === 'off')
  })

  test('that cannot start says why, and is off', async () => {
    const host = await testHost()
    const id = await host.make('web-1', 'badstart')
    await expect(host.machines.start({ id })).rejects.toMatchObject({ message: 'The kernel is not for this engine.' })
    expect(await host.machines.get({ id })).toMatchObject({ state: 'off', lastError: { message: 'The kernel is not for this engine.' } })
    expect(await readdir(join(host.library, 'web-1.coppice'))).not.toContain('lock')
  })

  test('waiting for a boot that does not come ends with the machine, and with the caller’s patience', async () => {
    const host = await testHost()
    const id = await host.make('web-1', 'quiet')
    await host.machines.start({ id })
    const gaveUp = AbortSignal.timeout(50)
    await expect(host.machines.waitBooted({ id }, { signal: gaveUp })).rejects.toMatchObject({ code: 'cancelled' })
    const waiting = host.machines.waitBooted({ id })
    const failed = expect(waiting).rejects.toMatchObject({ code: 'wrong-state' })
    await host.machines.powerOff({ id })
    await failed
  })
})

describe('a machine whose engine fails', () => {
  test.each([
    ['a trap', 'trap', 'The engine hit a trap.'],
    ['a thread that exits', 'die', 'The engine of “victim” ended by itself (exit code 7).'],
    ['a thread out of memory', 'oom', 'The engine of “victim” ran out of memory and was stopped.'],
  ])(
    'by %s has crashed, with the cause; the others run on',
    async (_what, word, message) => {
      const host = await testHost()
      const victim = await host.make('victim')
      const other = await host.make('other')
      await Promise.all([host.machines.start({ id: victim }), host.machines.start({ id: other })])
      const console = await attach(host, victim)
      const waiting = host.machines.type({ id: victim, text: `${word}\n` }).catch(() => {})
      const view = await host.until(victim, ({ state }) => state === 'crashed')
      await waiting
      expect(view.lastError).toMatchObject({ code: 'crashed', message })
      await console.ended
      expect(await readFile(join(view.bundle, 'logs/crashes.log'), 'utf8')).toContain(message)
      const console2 = await attach(host, other)
      await console2.type('set alive')
      await console2.type('get')
      await console2.until('=alive=')
      expect(await host.machines.start({ id: victim })).toMatchObject({ state: 'running', lastError: null })
    },
    60_000,
  )

  test('while it starts has crashed, and nothing of it is left', async () => {
    const host = await testHost()
    const id = await host.make('victim', 'dieatstart')
    await expect(host.machines.start({ id })).rejects.toMatchObject({ code: 'crashed' })
    expect(await host.machines.get({ id })).toMatchObject({ state: 'crashed', lastError: { code: 'crashed' } })
    expect(host.host.activeMachines()).toEqual([])
  })

  test('by not answering any more can be powered off', async () => {
    const host = await testHost()
    const id = await host.make('victim')
    await host.machines.start({ id })
    await host.machines.type({ id, text: 'spin\n' })
    const pausing = host.machines.pause({ id }).catch((error: unknown) => error)
    expect(await host.machines.powerOff({ id })).toMatchObject({ state: 'off' })
    expect(await pausing).toMatchObject({ code: 'wrong-state' })
  })
})

test('an engine that does not answer is told from a working one, and from one that came back', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
  const host = await testHost()
  const [stuck, fine] = [await host.make('stuck'), await host.make('fine')]
  await Promise.all([host.machines.start({ id: stuck }), host.machines.start({ id: fine })])
  await host.machines.type({ id: stuck, text: 'spin\n' })
  // Its thread stops between two looks.
  const beats = async () => (await host.machines.list({})).map(({ health }) => health)
  for (let look = 0; look < 7; look++) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    vi.advanceTimersByTime(LOOK_INTERVAL)
  }
  expect(await beats()).toEqual(['stuck', 'working'])
  expect((await host.machines.get({ id: stuck })).healthDetail).toMatch(/^Its engine has not answered for 1\d s\./)
  expect(await host.machines.powerOff({ id: stuck })).toMatchObject({ state: 'off', health: null })
})

test('the storage thread’s death crashes the machines whose disks it had, and nothing else', async () => {
  const { DOUBLES } = await import('./support/test-host.ts')
  const storage = new URL('./support/mortal-storage.thread.ts', import.meta.url)
  const host = await testHost({ doubles: { ...DOUBLES, storage } })
  const diskless = await host.make('diskless')
  const id = await host.make('victim', '', { newDiskBytes: 1024 * 1024 })
  await Promise.all([host.machines.start({ id }), host.machines.start({ id: diskless })])
  await host.machines.type({ id, text: 'write 66\n' })
  const view = await host.until(id, ({ state }) => state === 'crashed')
  expect(view.lastError?.message).toContain('The disks of “victim” are gone')
  expect(await host.machines.get({ id: diskless })).toMatchObject({ state: 'running' })
  expect(await host.machines.start({ id })).toMatchObject({ state: 'running' })
})
