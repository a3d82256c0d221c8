import { beforeEach, describe, expect, test, vi } from 'vitest'
import { machines, settings } from '../../../../src-shared/api/index.ts'
import type { MachineChange, MachineView } from '../../../../src-shared/api/machines.ts'
import { settingsSchema, type Settings } from '../../../../src-shared/api/settings.ts'
import { Emitter } from '../../../../src-shared/base/event.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { Handlers } from '../../../../src-shared/rpc/service.ts'
import { RpcServer } from '../../../../src-shared/rpc/server.ts'
import { electron } from './electron-double.ts'

vi.mock('electron', async () => (await import('./electron-double.ts')).electron)
const { settleClose } = await import('../../../../src-main/app/electron/close-guard.ts')
const { endMachines, whoRuns } = await import('../../../../src-main/app/end-machines.ts')

/** A host with named machines; guests listed in `deaf` ignore their power button. */
function fakeHost(names: string[], stored: Partial<Settings> = {}, deaf: string[] = []) {
  const active = new Map(names.map((name) => [name, { id: name, name, state: 'running' } as MachineView]))
  const changed = new Emitter<MachineChange>()
  let current = settingsSchema.parse(stored)
  const calls: string[] = []
  const server = new RpcServer()
  server.register(settings, {
    get: () => current,
    set: (change) => (current = { ...current, ...change }),
    changed: new Emitter<Settings>().event,
  })
  server.register(machines, {
    changed: changed.event,
    resume: ({ id }) => {
      calls.push(`resume ${id}`)
      return active.get(id)!
    },
    powerButton: ({ id }) => {
      calls.push(`button ${id}`)
      const machine = active.get(id)!
      if (!deaf.includes(id)) {
        active.delete(id)
        changed.fire({ kind: 'put', machine: { ...machine, state: 'off' } })
      }
      return machine
    },
  } as Partial<Handlers<typeof machines>> as Handlers<typeof machines>)
  return {
    server,
    calls,
    active,
    settings: () => current,
    activeMachines: () => [...active.values()],
    quiesce: async (running: 'suspend' | 'powerOff' | 'refuse') => {
      calls.push(running)
      active.clear()
    },
  }
}

beforeEach(() => {
  electron.dialog.shown = []
  electron.dialog.answers = []
})

describe('closing', () => {
  test('with nothing running just ends', async () => {
    expect(await settleClose(fakeHost([]), null)).toBe('end')
    expect(electron.dialog.shown).toEqual([])
  })

  test('with running machines asks, and says which', async () => {
    const host = fakeHost(['web-1', 'db-1'])
    expect(await settleClose(host, null)).toBe('stay')
    expect(electron.dialog.shown[0]).toMatchObject({
      message: '“web-1” and “db-1” run. What should happen?',
      buttons: ['Suspend', 'Shut down', 'Keep running in background', 'Cancel'],
      cancelId: 3,
    })
    expect(host.calls).toEqual([])
  })

  test.each([
    [0, 'end', ['suspend']],
    [1, 'end', ['button web-1']],
    [2, 'background', []],
    [3, 'stay', []],
  ] as const)('answer %d gives %s', async (response, outcome, calls) => {
    electron.dialog.answers = [{ response }]
    const host = fakeHost(['web-1'])
    expect(await settleClose(host, null)).toBe(outcome)
    expect(host.calls).toEqual(calls)
    expect(host.settings().onCloseWithRunning).toBe('ask')
  })

  test('an answer for good is remembered, a cancelled one is not', async () => {
    const host = fakeHost(['web-1'])
    electron.dialog.answers = [{ response: 3, checkboxChecked: true }]
    await settleClose(host, null)
    expect(host.settings().onCloseWithRunning).toBe('ask')
    electron.dialog.answers = [{ response: 2, checkboxChecked: true }]
    await settleClose(host, null)
    expect(host.settings().onCloseWithRunning).toBe('background')
    expect(await settleClose(host, null)).toBe('background')
    expect(electron.dialog.shown).toHaveLength(2)
  })

  test('a guest that ignores its power button is asked about again', async () => {
    vi.useFakeTimers()
    electron.dialog.answers = [{ response: 1 }]
    const host = fakeHost(['deaf', 'web-1'], { onCloseWithRunning: 'shutdown' }, ['deaf'])
    const outcome = settleClose(host, null)
    await vi.advanceTimersByTimeAsync(61_000)
    vi.useRealTimers()
    expect(await outcome).toBe('end')
    expect(electron.dialog.shown[0]).toMatchObject({ message: '“deaf” runs still: no answer to the power button.', cancelId: 2 })
    expect(host.calls).toEqual(['button deaf', 'button web-1', 'powerOff'])
  })

  test('a failed suspend keeps everything open and says why', async () => {
    const host = fakeHost(['web-1'], { onCloseWithRunning: 'suspend' })
    host.quiesce = () => Promise.reject(new AppError('no-space', 'The disk is full.'))
    expect(await settleClose(host, null)).toBe('stay')
    expect(electron.dialog.shown[0]).toMatchObject({ type: 'error', detail: 'The disk is full.' })
    expect(host.activeMachines()).toHaveLength(1)
  })
})

test('a paused guest is woken to hear its power button', async () => {
  const host = fakeHost(['web-1'])
  host.active.get('web-1')!.state = 'paused'
  expect(await endMachines(host, 'shutdown')).toEqual([])
  expect(host.calls).toEqual(['resume web-1', 'button web-1'])
})

test('who runs is said in one breath', () => {
  const run = (...names: string[]) => whoRuns(names.map((name) => ({ name })))
  expect(run('a')).toBe('“a” runs')
  expect(run('a', 'b', 'c')).toBe('“a”, “b” and “c” run')
  expect(run('a', 'b', 'c', 'd')).toBe('“a”, “b” and 2 more run')
})
