import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { MAX_ENDED, TaskService, type TaskContext } from '../../../../src-main/host/tasks/task-service.ts'
import type { Task, TaskStarted } from '../../../../src-shared/api/tasks.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'

const spec = { kind: 'create-machine', title: 'Creating “a”' } as const
const call = { signal: new AbortController().signal, peer: { kind: 'test' } } as const

/** Work that ends when told, or when cancelled. */
function work() {
  const { promise, resolve, reject } = Promise.withResolvers<Task['result']>()
  let context!: TaskContext
  const run = (given: TaskContext): Promise<Task['result']> => {
    context = given
    given.signal.addEventListener('abort', () => reject(given.signal.reason as Error))
    return promise
  }
  return { run, resolve, reject, context: () => context }
}

describe('TaskService', () => {
  let tasks: TaskService
  let seen: Task[]
  beforeEach(() => {
    tasks = new TaskService()
    seen = []
    tasks.onChanged((task) => seen.push(task))
  })
  afterEach(() => vi.useRealTimers())

  test('runs work at once and gives its result', async () => {
    const job = work()
    const { task } = tasks.start({ ...spec, machine: 'm' }, job.run)
    expect(job.context().id).toBe(task)
    expect(tasks.get(task)).toMatchObject({ state: 'running', machine: 'm', step: '', progress: null, cancellable: true, endedAt: null })
    const ended = tasks.whenEnded(task)
    job.resolve({ id: 'm' })
    expect(await ended).toMatchObject({ state: 'done', result: { id: 'm' }, error: null, cancellable: false })
    expect(seen.map((view) => view.state)).toEqual(['running', 'done'])
  })

  test('an error becomes a sentence in the record, also one thrown at once', async () => {
    const failed = tasks.start(spec, () => Promise.reject(new AppError('no-space', 'The disk is full.')))
    expect(await tasks.whenEnded(failed.task)).toMatchObject({ state: 'failed', error: { code: 'no-space', message: 'The disk is full.' } })
    const thrown = tasks.start(spec, () => {
      throw new TypeError('boom')
    })
    expect(await tasks.whenEnded(thrown.task)).toMatchObject({ state: 'failed', error: { code: 'internal' } })
  })

  test('cancel aborts the work; cancelling again or after the end does nothing', async () => {
    const job = work()
    const { task } = tasks.start(spec, job.run)
    void tasks.handlers.cancel({ id: task }, call)
    expect(tasks.get(task)).toMatchObject({ state: 'running', step: 'Cancelling', cancellable: false })
    expect(await tasks.whenEnded(task)).toMatchObject({ state: 'cancelled', step: '', error: null })
    await tasks.handlers.cancel({ id: task }, call)
  })

  test('work that ends well in spite of a cancel is done', async () => {
    const { promise, resolve } = Promise.withResolvers<null>()
    const { task } = tasks.start(spec, () => promise)
    await tasks.handlers.cancel({ id: task }, call)
    resolve(null)
    expect((await tasks.whenEnded(task)).state).toBe('done')
  })

  test('what cannot be cancelled is refused, unknown ones are not found', async () => {
    const job = work()
    const { task } = tasks.start({ ...spec, cancellable: false }, job.run)
    expect(() => tasks.handlers.cancel({ id: task }, call)).toThrowError(/Creating “a”/)
    expect(() => tasks.handlers.cancel({ id: 'none' }, call)).toThrowError(expect.objectContaining({ code: 'not-found' }))
    await expect(tasks.whenEnded('none')).rejects.toMatchObject({ code: 'not-found' })
    job.resolve(null)
  })

  test('progress is told ten times a second at most, and the last value always', async () => {
    vi.useFakeTimers()
    const job = work()
    const { task } = tasks.start(spec, job.run)
    for (let done = 1; done <= 1000; done++) {
      job.context().progress(done, 1000, 'bytes')
      await vi.advanceTimersByTimeAsync(1)
    }
    await vi.advanceTimersByTimeAsync(200)
    expect(seen.length).toBeLessThanOrEqual(12)
    expect(seen.at(-1)?.progress).toEqual({ done: 1000, total: 1000, unit: 'bytes' })
    job.context().progress(1, 1, 'steps')
    job.context().step('last')
    job.resolve(null)
    expect(await tasks.whenEnded(task)).toMatchObject({ step: 'last', state: 'done' })
    expect(vi.getTimerCount()).toBe(0)
  })

  test('progress after the end changes nothing', async () => {
    const job = work()
    const { task } = tasks.start(spec, job.run)
    job.resolve(null)
    await tasks.whenEnded(task)
    const before = seen.length
    job.context().step('late')
    expect(seen).toHaveLength(before)
    expect(tasks.get(task)?.step).toBe('')
  })

  test('a task that was told is not changed behind the listener’s back', async () => {
    const job = work()
    tasks.start(spec, job.run)
    job.context().step('later')
    expect(seen[0]?.step).toBe('')
    job.resolve(null)
  })

  test('remembers the last hundred that ended; clear forgets them and says which', async () => {
    const cleared: string[] = []
    tasks.handlers.cleared(({ ids }) => cleared.push(...ids))
    const started: string[] = []
    for (let at = 0; at < MAX_ENDED + 5; at++) {
      const { task } = tasks.start(spec, () => Promise.resolve(null))
      started.push(task)
      await tasks.whenEnded(task)
    }
    expect(await tasks.handlers.list({}, call)).toHaveLength(MAX_ENDED)
    expect(cleared).toEqual(started.slice(0, 5))
    const job = work()
    const { task } = tasks.start(spec, job.run)
    await tasks.handlers.clear({}, call)
    expect(cleared).toHaveLength(MAX_ENDED + 5)
    expect((await tasks.handlers.list({}, call)).map(({ id }) => id)).toEqual([task])
    job.resolve(null)
  })

  test('wait gives up with its caller', async () => {
    const job = work()
    const { task } = tasks.start(spec, job.run)
    const caller = new AbortController()
    const waiting = tasks.handlers.wait({ id: task }, { ...call, signal: caller.signal })
    caller.abort(AppError.cancelled())
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' })
    job.resolve(null)
  })

  test('what failed or was cancelled is done anew, once, and what did not begin can be tried again', async () => {
    const cleared: string[] = []
    tasks.handlers.cleared(({ ids }) => cleared.push(...ids))
    const runs: string[] = []
    let refused: AppError | null = null
    const begin = (outcome: 'fail' | 'well'): TaskStarted => {
      if (refused) throw refused
      runs.push(outcome)
      return tasks.start({ ...spec, again: () => begin('well') }, () =>
        outcome === 'fail' ? Promise.reject(new AppError('no-space', 'Full.')) : Promise.resolve({ id: 'new' }),
      )
    }
    const { task } = begin('fail')
    expect(tasks.get(task)).toMatchObject({ restartable: false })
    await expect(tasks.restart(task)).rejects.toMatchObject({ code: 'wrong-state' })
    expect(await tasks.whenEnded(task)).toMatchObject({ state: 'failed', restartable: true })

    refused = new AppError('already-exists', 'Taken.')
    await expect(tasks.restart(task)).rejects.toBe(refused)
    expect(tasks.get(task), 'it stays').toMatchObject({ restartable: true })
    refused = null
    const [first, second] = await Promise.allSettled([tasks.restart(task), tasks.restart(task)])
    expect([first.status, second.status]).toEqual(['fulfilled', 'rejected'])
    expect(runs).toEqual(['fail', 'well'])
    expect(cleared).toEqual([task])
    expect(tasks.get(task)).toBeUndefined()

    const { task: next } = (first as PromiseFulfilledResult<TaskStarted>).value
    expect(await tasks.whenEnded(next)).toMatchObject({ state: 'done', restartable: false })
    await expect(tasks.restart(next)).rejects.toMatchObject({ code: 'wrong-state' })
    const { task: plain } = tasks.start(spec, () => Promise.reject(new Error('no')))
    expect(await tasks.whenEnded(plain)).toMatchObject({ state: 'failed', restartable: false })
  })

  test('the host’s end cancels all', async () => {
    const jobs = [work(), work()]
    const ids = jobs.map((job, at) => tasks.start({ ...spec, cancellable: at === 0 }, job.run).task)
    const ends = ids.map((id) => tasks.whenEnded(id))
    tasks.dispose()
    expect((await Promise.all(ends)).map(({ state }) => state)).toEqual(['cancelled', 'cancelled'])
  })
})
