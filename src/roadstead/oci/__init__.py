"""Pure: digests, references, descriptors and manifests as the OCI specifications define them. No input or output."""
