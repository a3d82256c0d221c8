/** A process that claims the library of its first argument, tells whether it won, and holds on until it is killed. */
import { claimLibrary } from '../../../src-main/app/local/claim.ts'

const won = await claimLibrary(process.argv[2]!).then(
  () => true,
  () => false,
)
process.send!({ won })
