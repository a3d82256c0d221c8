/** As a host: keeps a lease, and then others without end. Arguments: the leases' file, the number of its own lease. */
import { LeasesFile } from '../../../../src-main/host/networks/leases-file.ts'
import { memoryLog } from '../../../support/memory-log.ts'

const [path, own] = process.argv.slice(2)
const file = await LeasesFile.open(path!, memoryLog())
const put = (number: number): void =>
  file.put({
    ...{ network: 'lab', address: `10.0.2.${number}`, hostName: null, from: 0, until: Number.MAX_SAFE_INTEGER },
    mac: `52:54:00:00:00:${number.toString(16).padStart(2, '0')}`,
  })
put(Number(own))
let number = 0
setInterval(() => put(100 + (number++ % 100)), 5)
