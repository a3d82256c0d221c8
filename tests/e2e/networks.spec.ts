/** Two networks with a router and three machines, built by mouse; a ping across the map, delayed, captured and read; and a scan that is noticed. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { QEMU_PROGRAM } from '../support/qemu-program.ts'
import { NetworkMap } from './pages/network-map.ts'
import { expect, test } from './support.ts'

const COPPICE = path.resolve(import.meta.dirname, '../../bin/coppice')
const BOOT_LIMIT_MS = 120_000
/** The block that begins a pcapng file. */
const SECTION_HEADER = '0a0d0d0a'

async function coppice(library: string, ...words: string[]): Promise<string> {
  return (await promisify(execFile)(COPPICE, ['--library', library, ...words])).stdout
}

test('networks built by mouse: a ping is seen, delayed, captured and read, and a scan raises an alert', async ({
  workstation,
  page,
  served: { library },
}) => {
  test.setTimeout(400_000)
  for (const [name, engine] of [
    ['near', 'embedded'],
    ['far', QEMU_PROGRAM ? 'qemu' : 'embedded'],
    ['spare', 'embedded'],
  ] as const)
    await coppice(library, 'create', name, '--sample', '--engine', engine, '--net', 'none')

  const map = new NetworkMap(page)
  await map.open()
  await map.newNetwork('red', 'Host-only')
  await map.newNetwork('blue', 'Host-only')
  await map.newRouter('red', 'blue')
  await expect(map.thing('Router router-1 in red')).toBeAttached()
  await expect(map.thing('Router router-1 in blue')).toBeAttached()
  await map.drawLink('near', 'red')
  await map.drawLink('far', 'blue')
  await map.drawLink('spare', 'blue')

  for (const name of ['far', 'near']) {
    const machine = await workstation.open(name)
    await machine.startButton.click()
  }
  const near = workstation.machine('near')
  await near.expectState('Running', BOOT_LIMIT_MS)
  await map.open()
  const address = map.thing('far').locator('.address')
  await expect(address).toHaveText(/^10\./, { timeout: BOOT_LIMIT_MS })
  await expect(map.thing('near').locator('.address')).toHaveText(/^10\./, { timeout: BOOT_LIMIT_MS })
  const far = await address.textContent()

  await workstation.open('near')
  await near.tab('Console')
  await near.expectConsole(/# *$/m, BOOT_LIMIT_MS)
  await near.type(`ping ${far}\n`)
  await near.expectConsole(/seq=1 ttl=6\d time=\d+\.\d+ ms/)

  // It crosses the map: by the figures of both links, and as what moves on them.
  await map.open()
  const figures = page.locator('.svelte-flow__edge-label').filter({ hasText: /bit\/s/ })
  await expect(figures).toHaveCount(2)
  await expect(page.locator('.svelte-flow__edge .flow')).toHaveCount(2)

  await map.chooseLink('near')
  await map.details.getByRole('textbox', { name: 'Delay, ms' }).fill('200')
  await map.details.getByRole('button', { name: 'Apply' }).click()
  await expect(figures.filter({ hasText: '200 ms' })).toHaveCount(1)
  await workstation.open('near')
  await near.expectConsole(/time=[2-9]\d\d\.\d+ ms/)

  await map.open()
  await map.chooseLink('near')
  const file = path.join(library, 'minute.pcapng')
  await map.details.getByRole('button', { name: 'Save a capture…' }).click()
  await page.getByRole('dialog').getByRole('textbox', { name: 'File' }).fill(file)
  await page.getByRole('dialog').getByRole('button', { name: 'Save capture' }).click()
  await expect(workstation.toast(/The packets are in/)).toBeVisible()
  await expect(async () => expect((await readFile(file)).subarray(0, 4).toString('hex')).toBe(SECTION_HEADER)).toPass()

  await map.details.getByRole('button', { name: 'Packets', exact: true }).click()
  const filter = page.getByRole('searchbox', { name: 'Filter' })
  await filter.fill(`icmp and host ${far}`)
  await filter.press('Enter')
  const request = page
    .getByRole('listbox', { name: 'Packets' })
    .getByRole('option', { name: /Echo request/ })
    .first()
  await expect(request).toBeVisible()
  // Else the list goes on under the pointer.
  await page.getByRole('button', { name: 'Hold the list' }).click()
  await request.click()
  const packet = page.getByRole('region', { name: 'Packet' })
  await expect(packet.getByText('Sequence number')).toBeVisible()
  await expect(packet.getByRole('region', { name: 'Bytes' })).toContainText('0010')

  await map.tab('Map')
  await map.chooseLink('near')
  await map.details.getByRole('button', { name: 'Clear' }).click()
  await workstation.open('near')
  await near.press('Control+C')
  await near.type(`for port in $(seq 1 60); do nc -w 1 ${far} $port </dev/null 2>/dev/null; done; echo scanned\n`)
  await map.open()
  await expect(map.thing('near')).toContainText('“near” scans the ports', { timeout: 60_000 })
  await map.tab(/^Alerts/)
  await expect(page.getByText(`“near” scans the ports of ${far}`, { exact: false })).toBeVisible()
})
