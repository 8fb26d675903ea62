"""Makes a network in the emulator for the Terraform module, and prints its variables."""

import json

import boto3

ec2 = boto3.client("ec2")
vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
subnets = [ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.1.{n}.0/24", AvailabilityZone=f"eu-west-1{'ab'[n % 2]}")["Subnet"]["SubnetId"]
           for n in range(4)]
print(json.dumps({
    "image": "registry.example.com/asgard:v1", "vpc_id": vpc, "public_subnet_ids": subnets[:2], "private_subnet_ids": subnets[2:],
    "hostname": "asgard.example.com", "terraform_targets": ["aws:123456789012"],
    "certificate_arn": "arn:aws:acm:eu-west-1:000000000000:certificate/01234567-89ab-cdef-0123-456789abcdef",
}))
