/** Processes of earlier hosts: ended only where they certainly are the ones that are meant. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'
import { adoptProcess } from '../../../src-main/engines/qemu/supervise/qemu-process.ts'
import { processStart, UNKNOWN } from '../../../src-main/process/process-start.ts'

async function stranger() {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
  const ended = once(child, 'exit')
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
  })
  await once(child, 'spawn')
  return { pid: child.pid!, lives: () => child.exitCode === null && child.signalCode === null }
}

test.each([UNKNOWN, 'another time'])('a process that started at %j is left alone', async (start) => {
  const { pid, lives } = await stranger()
  const adopted = adoptProcess(pid, start, Promise.resolve())
  expect(await adopted.ended).toMatchObject({ known: false })
  await adopted.kill()
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(lives()).toBe(true)
})

test('the one that is meant is ended when nobody can steer it any more', async () => {
  const { pid, lives } = await stranger()
  const adopted = adoptProcess(pid, (await processStart(pid))!, Promise.resolve())
  await adopted.kill()
  // Node tells it a moment after it is so.
  await expect.poll(lives).toBe(false)
})
