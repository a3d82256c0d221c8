/** A QEMU machine suspended to disk and resumed to an answering prompt through the host, beside the same QEMU by hand: `stop`, `migrate` into a file, `-incoming`. */
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { BOOT_COMPLETE_MARK } from '../../../src-shared/model/boot-mark.ts'
import type { Figure } from '../figure.ts'
import { BareQemu } from '../support/bare-qemu.ts'
import { answersAtPrompt, benchHost } from '../support/bench-host.ts'
import { qemuRecord } from '../support/shown-machine.ts'

const RUNS = 5
/** As fast as it goes; QEMU's own limit is for networks. */
const BANDWIDTH = 64 * 1024 ** 3

export async function qemuSuspendFigures(): Promise<Figure[]> {
  const { machines, id, folder, finish, close } = await benchHost({ engine: 'qemu' })
  const save = { ours: [] as number[], bare: [] as number[] }
  const resume = { ours: [] as number[], bare: [] as number[] }
  let bare: BareQemu | null = null
  try {
    await machines.update({ id, patch: { nics: [] } })
    await machines.start({ id })
    await machines.waitBooted({ id })
    const { spec } = (await qemuRecord(id))!
    const files = path.join(folder, 'bare')
    bare = await BareQemu.start(spec, files)
    await bare.printed(BOOT_COMPLETE_MARK)
    for (let run = 0; run < RUNS; run++) {
      const saving = performance.now()
      await finish((await machines.suspend({ id })).task)
      save.ours.push(performance.now() - saving)
      const resuming = performance.now()
      await machines.start({ id })
      await answersAtPrompt(machines, id, run)
      resume.ours.push(performance.now() - resuming)

      const memory = path.join(folder, 'memory')
      save.bare.push(await migrate(bare, memory))
      await bare.close()
      const loading = performance.now()
      bare = await BareQemu.start(spec, files, { incoming: `exec:cat ${memory}` })
      await goOn(bare)
      bare.type(`echo $((${run}+7000))\n`)
      await bare.printed(`\n${run + 7000}`)
      resume.bare.push(performance.now() - loading)
    }
    await machines.powerOff({ id })
  } finally {
    await bare?.close()
    await close()
  }
  const anchor = 'stop, migrate and -incoming by hand'
  return [
    { name: 'Suspend to disk, Coppice Linux amd64, QEMU', unit: 'ms', values: save.ours, anchor: { name: anchor, values: save.bare } },
    { name: 'Resume to an answering prompt, QEMU', unit: 'ms', values: resume.ours, anchor: { name: anchor, values: resume.bare } },
  ]
}

async function migrate(qemu: BareQemu, memory: string): Promise<number> {
  await qemu.execute('migrate-set-parameters', { 'max-bandwidth': BANDWIDTH })
  const from = performance.now()
  await qemu.execute('stop')
  await qemu.execute('migrate', { uri: `exec:cat > ${memory} && sync ${memory}` })
  while ((await qemu.execute('query-migrate'))['status'] !== 'completed') await sleep(5)
  return performance.now() - from
}

/** What was saved while it stood comes back so. */
async function goOn(qemu: BareQemu): Promise<void> {
  while ((await qemu.execute('query-status'))['status'] === 'inmigrate') await sleep(5)
  await qemu.execute('cont')
}
