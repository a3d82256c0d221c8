/** A process that claims the library of its first argument, is “ending” where the second says so, tells whether it won, and holds on until it is killed. */
import { claimLibrary } from '../../../src-main/app/local/claim.ts'

const claim = await claimLibrary(process.argv[2]!).catch(() => null)
if (process.argv[3] === 'ending') await claim?.setEnding(true)
process.send!({ won: claim !== null })
