import { expect, test } from 'vitest'
import { SnapshotTasks } from '../../../../src-main/host/snapshots/snapshot-tasks.ts'
import type { Machine } from '../../../../src-main/host/machines/machine.ts'
import { TaskService } from '../../../../src-main/host/tasks/task-service.ts'

const machine = { id: '6f9619ff-8b86-4d01-b42d-00cf4fc964ff' } as Machine
const spec = { kind: 'delete-snapshot', title: 'Merging' } as const

test('work that all other goes before ends when something comes, and is called again behind it', async () => {
  const tasks = new SnapshotTasks(new TaskService())
  const log: string[] = []
  const begun = Promise.withResolvers<void>()
  let calls = 0
  const last = tasks.startLast(spec, machine, async (_context, soon) => {
    log.push(`last ${++calls}`)
    begun.resolve()
    if (calls === 2) return { id: 'x' }
    await new Promise((resolve) => soon.addEventListener('abort', resolve))
    log.push('gives way')
    return null
  })
  await begun.promise
  const others = ['a', 'b'].map((name) =>
    tasks.start(spec, machine, async () => {
      log.push(name)
      return { id: name }
    }),
  )
  for (const task of [...others, last]) await tasks.ended(task)
  expect(log).toEqual(['last 1', 'gives way', 'a', 'b', 'last 2'])
})

test('where something waits already, it gives way at once', async () => {
  const tasks = new SnapshotTasks(new TaskService())
  const aborted: boolean[] = []
  const first = tasks.start(spec, machine, async () => {
    second = tasks.start(spec, machine, async () => ({ id: 'b' }))
    await tasks.givingWay(machine.id, async (soon) => aborted.push(soon.aborted))
    return { id: 'a' }
  })
  let second = first
  await tasks.ended(first)
  await tasks.ended(second)
  expect(aborted).toEqual([true])
})
