/** Machines from elsewhere and for elsewhere, in the built window: progress, cancel, a licence, and the way back out. */
import { mkdir, open, readdir, readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { openImage } from '../../src-main/storage/open-image.ts'
import { createVmdk } from '../../src-main/storage/formats/vmdk/create-vmdk.ts'
import { makeFile } from '../../src-main/storage/file/make-file.ts'
import { writeTar } from '../support/write-tar.ts'
import { expect, test } from './support.ts'

const MiB = 1024 * 1024

const OVF = `<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData">
  <References><File ovf:id="file1" ovf:href="appliance-disk1.vmdk"/></References>
  <DiskSection><Info/><Disk ovf:diskId="d1" ovf:fileRef="file1" ovf:capacity="${8 * MiB}" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/></DiskSection>
  <VirtualSystem ovf:id="appliance">
    <Info/>
    <EulaSection><Info/><License>You may run this appliance if you water the plants.</License></EulaSection>
    <OperatingSystemSection ovf:id="101"><Info/></OperatingSystemSection>
    <VirtualHardwareSection><Info/>
      <Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>
      <Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>512</rasd:VirtualQuantity></Item>
      <Item><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceSubType>AHCI</rasd:ResourceSubType><rasd:ResourceType>20</rasd:ResourceType></Item>
      <Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:HostResource>ovf:/disk/d1</rasd:HostResource><rasd:InstanceID>4</rasd:InstanceID><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
      <Item><rasd:Connection>NAT</rasd:Connection><rasd:InstanceID>5</rasd:InstanceID><rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType><rasd:ResourceType>10</rasd:ResourceType></Item>
      <Item><rasd:ElementName>sound</rasd:ElementName><rasd:InstanceID>6</rasd:InstanceID><rasd:ResourceSubType>ensoniq1371</rasd:ResourceSubType><rasd:ResourceType>35</rasd:ResourceType></Item>
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>`

/** A disk that takes a while, and an appliance with a licence. */
async function prepare(library: string): Promise<void> {
  const folder = path.join(library, 'files')
  await mkdir(folder)
  const big = await open(path.join(folder, 'big.raw'), 'w')
  const bytes = crypto.getRandomValues(new Uint8Array(65536))
  const chunk = new Uint8Array(8 * MiB)
  for (let at = 0; at < chunk.length; at += bytes.length) chunk.set(bytes, at)
  for (let count = 0; count < 192; count++) await big.write(chunk)
  await big.close()
  const disk = path.join(folder, 'disk.vmdk')
  await makeFile(disk, (file) => createVmdk(file, { size: 8 * MiB }))
  const image = await openImage({ path: disk, format: 'vmdk', readOnly: false })
  await image.write(0, bytes)
  await image.close()
  await writeTar(path.join(folder, 'appliance.ova'), [
    { name: 'appliance.ovf', data: OVF },
    { name: 'appliance-disk1.vmdk', data: await readFile(disk) },
  ])
}

test.use({ library: { prepare } })

test('an import shows how far it is, leaves nothing when it is cancelled, and makes a machine that can be exported', async ({
  workstation,
  served,
  page,
}) => {
  const file = (name: string): string => path.join(served.library, 'files', name)
  const leftovers = async (): Promise<string[]> => (await readdir(served.library)).filter((name) => /^\.new-|\.coppice$/.test(name))
  await page.getByRole('main').getByRole('button', { name: 'Import…' }).click()
  const dialog = page.getByRole('dialog', { name: 'Import a machine' })
  await dialog.getByRole('textbox', { name: 'File' }).fill(file('big.raw'))
  await expect(dialog.getByRole('textbox', { name: 'Name' })).toHaveValue('big')
  await dialog.getByRole('button', { name: 'Import' }).click()
  await expect(dialog.getByRole('progressbar')).toHaveAttribute('aria-valuenow', /[1-9]/)
  await dialog.getByRole('button', { name: 'Cancel', exact: true }).click()
  await expect(dialog.getByRole('button', { name: 'Import' })).toBeEnabled()
  await expect(dialog.getByRole('progressbar')).toBeHidden()
  await expect.poll(leftovers).toEqual([])
  await expect(dialog.getByRole('textbox', { name: 'File' })).toHaveValue(file('big.raw'))

  await dialog.getByRole('textbox', { name: 'File' }).fill(file('appliance.ova'))
  await expect(dialog.getByRole('region', { name: 'What will be made' })).toContainText('2 processors · 512 MiB of memory')
  await expect(dialog.getByRole('list', { name: 'Not as it was' })).toContainText('Sound card')
  await expect(dialog.getByRole('textbox', { name: 'Licence' })).toHaveValue(/water the plants/)
  await dialog.getByRole('checkbox', { name: /I have read/ }).check()
  await dialog.getByRole('button', { name: 'Import' }).click()
  const machine = workstation.machine('appliance')
  await machine.expectState('Off')
  await expect(dialog).toBeHidden()
  const hardware = await machine.tab('Hardware')
  await expect(hardware).toContainText('512 MiB')

  await machine.more('Export…')
  const exporting = page.getByRole('dialog', { name: 'Export “appliance”' })
  await expect(exporting.getByRole('list', { name: 'What other products will not have' })).toBeVisible()
  await exporting.getByRole('textbox', { name: 'File' }).fill(file('out.ova'))
  await exporting.getByRole('button', { name: 'Export' }).click()
  await expect(workstation.toast(/Exported “appliance”/)).toBeVisible()
  expect((await stat(file('out.ova'))).size).toBeGreaterThan(60_000)
})
