/** kill -9 of a host while networks are made, changed, plugged into and removed: the networks' file and the machine's have the old or the new, whole, and what was answered is there. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { networks } from '../../../src-shared/api/index.ts'
import { networksSchema } from '../../../src-shared/model/network.ts'
import { seeded } from '../../support/seeded.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { testHost } from '../machines/support/test-host.ts'
import type { EditingOrder } from './support/editing-host.program.ts'
import { after, stepAt, within, type NetworkPicture } from './support/network-steps.ts'

const CHILD = join(import.meta.dirname, 'support/editing-host.program.ts')
const KILLS = 10
/** That a host takes at most before the one within which it is killed, or soon after. */
const STEPS = 10
/** ms after the step began: in it, or after it. */
const SOON = 40

/**
 * @param at the step that it begins when it is killed so many ms later
 * @returns the last step that had ended, and the one within which the host was killed, if any
 */
async function killed(order: EditingOrder, at: number, ms: number): Promise<{ ended: number; within: number | null }> {
  await writeFile(order.journal, '')
  const child = fork(CHILD, [JSON.stringify(order)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const exited = once(child, 'exit')
  onTestFinished(() => void child.kill('SIGKILL'))
  const reached = Promise.withResolvers<void>()
  child.on('message', (begun) => begun === at && reached.resolve())
  await Promise.race([reached.promise, exited.then(() => expect.unreachable('The host ended by itself.'))])
  await sleep(ms)
  child.kill('SIGKILL')
  await exited
  const lines = (await readFile(order.journal, 'utf8')).split('\n').filter((line) => line !== '')
  const last = (word: string): number => Number(lines.findLast((line) => line.startsWith(word))?.split(' ')[1] ?? order.from - 1)
  const [begun, ended] = [last('begin'), last('end')]
  return { ended, within: begun > ended ? begun : null }
}

test('a host that is killed leaves the old or the new of every file', { timeout: 180_000 }, async () => {
  const first = await testHost()
  const machine = await first.make('web-1', '', { networks: ['default'] })
  await first.host.close()
  const { library } = first
  const cacheFolder = await tempFolder()
  const journal = join(cacheFolder, 'journal')
  const random = seeded(20_261_121)

  let picture: NetworkPicture = { networks: {}, plugged: 'default' }
  let from = 0
  let steps = 0
  for (let kill = 0; kill < KILLS; kill++) {
    const order: EditingOrder = { library, cacheFolder, journal, machine, running: kill % 2 === 1, from }
    const end = await killed(order, from + random(STEPS), random(SOON))
    for (let at = from; at <= end.ended; at++) picture = after(picture, stepAt(at))
    steps += end.ended + 1 - from
    const possible = end.within === null ? [picture] : within(picture, stepAt(end.within))

    // The files as they lie there: nothing was to be mended.
    const file = await readFile(join(library, 'networks.json'), 'utf8').catch(() => null)
    if (file !== null) expect(networksSchema.safeParse(JSON.parse(file)).success).toBe(true)
    expect((await readdir(library)).filter((name) => name.includes('.broken-'))).toEqual([])
    const host = await testHost({ library })
    const { networks: found, problem } = await host.rpc.service(networks).list({})
    const view = await host.machines.get({ id: machine })
    expect({ problem, broken: view.problem }).toEqual({ problem: null, broken: null })
    const seen: NetworkPicture = {
      networks: Object.fromEntries(found.flatMap(({ network: { name, mtu } }) => (name === 'default' ? [] : [[name, mtu]]))),
      plugged: view.config!.nics[0]!.network,
    }
    expect(possible).toContainEqual(seen)
    // The next one begins with nothing of this one's but the machine.
    if (view.state !== 'off' && view.state !== 'crashed') await host.machines.powerOff({ id: machine })
    for (const name of Object.keys(seen.networks)) await host.rpc.service(networks).remove({ name, unplug: true })
    await host.rpc.service(networks).connect({ machine, nic: 'nic0', network: 'default' })
    await host.host.close()
    picture = { networks: {}, plugged: 'default' }
    from = (Math.floor((end.within ?? end.ended) / 5) + 1) * 5
  }
  // It was not all killed before anything happened.
  expect(steps).toBeGreaterThan(KILLS)
})
