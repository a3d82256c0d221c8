/** Threads: their deaths and restarts. */
import { expect, onTestFinished, test } from 'vitest'
import { SharedThread } from '../../../src-main/host/threads/shared-thread.ts'
import { HostThread } from '../../../src-main/host/threads/thread.ts'
import { applianceThread } from '../../../src-shared/threads/appliance-thread.ts'
import { memoryLog } from '../../support/memory-log.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { DOUBLES } from './support/test-host.ts'

function shared() {
  const log = memoryLog()
  const thread = new SharedThread('appliance', log, DOUBLES.appliance)
  onTestFinished(() => thread.close())
  const firmware = (cacheFolder: string) => thread.use((each) => each.rpc.service(applianceThread).firmware({ job: 'x', cacheFolder }))
  return { log, thread, firmware }
}

test('a shared thread that died is started again, with its cause told', async () => {
  const { firmware, log } = shared()
  await expect(firmware('/die')).rejects.toMatchObject({ code: 'crashed', message: 'The appliance thread ended by itself (exit code 4).' })
  expect(log.lines).toEqual(['error threads: The appliance thread ended by itself (exit code 4).'])
  await expect(firmware(await tempFolder())).resolves.toMatchObject({ version: 'double' })
})

test('one that keeps dying is left dead for a while', async () => {
  const { thread, firmware } = shared()
  for (let n = 0; n < 3; n++) await expect(firmware('/die')).rejects.toMatchObject({ code: 'crashed' })
  expect(() => thread.lease()).toThrow('The appliance thread died 3 times within a minute')
  expect(() => thread.lease(Date.now() + 61_000)).not.toThrow()
})

test('its users share one thread, and after the end nobody gets one', async () => {
  const { thread } = shared()
  const [a, b] = [thread.lease(), thread.lease()]
  expect(a.thread).toBe(b.thread)
  a.release()
  a.release()
  expect(thread.lease().thread).toBe(b.thread)
  await thread.close()
  expect(() => thread.lease()).toThrow('Coppice is ending')
})

test('a thread ended on purpose has not died; what it was asked fails', async () => {
  const thread = new HostThread('appliance', { log: memoryLog(), ...(DOUBLES.appliance ? { entry: DOUBLES.appliance } : {}) })
  let died = false
  thread.onDeath(() => (died = true))
  const asked = thread.rpc
    .service(applianceThread)
    .coppiceLinux({ job: 'x', arch: 'i386', cacheFolder: await tempFolder(), resources: '/' })
  const failed = expect(asked).rejects.toMatchObject({ code: 'disconnected' })
  await thread.terminate()
  await failed
  expect([died, thread.deathError]).toEqual([false, null])
})
