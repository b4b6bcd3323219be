// Pulls an image by CRI and prints how many ms that took: node image-pull-client.js SOCKET IMAGE
import { credentials } from '@grpc/grpc-js';
import { cri } from '@naru/proto';

const [socket = '', image = ''] = process.argv.slice(2);
const client = new cri.ImageServiceClient(`unix://${socket}`, credentials.createInsecure());
client.waitForReady(Date.now() + 20_000, error => {
  if (error) throw error;
  const begun = performance.now();
  client.pullImage(cri.PullImageRequest.fromPartial({ image: { image } }), failed => {
    if (failed) throw failed;
    process.stdout.write(String(performance.now() - begun));
    client.close();
  });
});
